// musterd while it runs: all of its parts, and what it does on a signal, a reload, and when files
// or sockets that it needs are gone. The loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include "broker/broker_server.h"
#include "musterd/config/load.h"
#include "musterd/control/control_plane.h"
#include "musterd/history/history.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"
#include "musterd/service/event_fanout.h"
#include "musterd/service/left_backends.h"
#include "musterd/service/live_settings.h"
#include "musterd/service/memory_trim.h"
#include "musterd/service/notify.h"
#include "musterd/service/roster_keeper.h"
#include "musterd/service/service_job.h"
#include "musterd/service/socket_watch.h"
#include "musterd/service/sockets.h"
#include "musterd/state/broadcast_ids.h"
#include "musterd/state/holds.h"
#include "musterd/state/operation_keys.h"
#include "musterd/state/roster.h"

namespace muster::daemon {

// At the end of the process, for all that is still to be written: a disk that takes longer does not
// answer at all.
constexpr std::chrono::seconds kLastWrites{5};
constexpr std::chrono::seconds kLastHistory{2};

class Daemon {
 public:
  Daemon(asio::io_context& loop, const Loaded& loaded, ServerSockets& sockets, BroadcastIds& ids,
         RosterStore& roster, KeyStore& keys, HoldStore& holds, History& history, Worker& files,
         Worker& configuration, Log& log, LiveSettings::Reading reading,
         std::filesystem::path state_dir);
  // Blocks SIGTERM, SIGINT and SIGHUP until the process has exited: a late one must not turn an
  // orderly end into death by a signal.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // A handler of the loop threw.
  void handler_failed() noexcept { ++server_.core().counters().task_failures; }

  // Backends reconnect to the next broker, which finds on disk all that must outlive this one.
  [[noreturn]] void end_at_once(int status);

 private:
  // A thread that the disk keeps in the kernel outlives this, and with it every open descriptor:
  // clients would go on connecting to sockets that nobody serves.
  [[noreturn]] static void leave(int status);

  void await_signal();
  void restore_keys();
  void restore_holds();
  void begin_history();
  void warn_of_permissions();
  void add_problems(std::vector<std::string>& all) const;
  void look_again();

  // State that somebody deleted is written again, while all of it is known, but not over that of
  // another broker.
  void look_at_state();

  void take(core::AccessPolicyPtr policy);

  // For who checks what a reload would change.
  void record_policy();

  void stop(int number);
  void stop_for(const ServiceJob& job, std::string_view signal);
  void shut_down(bool quiesce);

  // Every outcome is in. Operators who wait for one get it before their connections end: their
  // answers were posted before this, or wait for their holds to be on disk.
  void drained();

  asio::io_context& loop_;
  Log& log_;
  BroadcastIds& ids_;
  ServerSockets& sockets_;
  Worker& files_;
  const std::filesystem::path state_dir_;
  Worker& configuration_;
  LiveSettings live_;
  std::uint64_t started_;
  core::AccessPolicyPtr policy_;
  ControlPlane control_;
  MemoryTrim memory_;
  RosterStore& roster_store_;
  KeyStore& keys_;
  HoldStore& holds_;
  History& history_;
  RosterKeeper roster_;
  EventFanout fanout_;
  broker::BrokerServer server_;
  ServiceManager service_;
  ServiceJobQuestion stop_reason_;
  asio::signal_set signals_;
  SocketWatch socket_watch_;
  asio::steady_timer look_timer_;
  LeftBackends left_;
  std::string status_;  // what the service manager shows
  bool stopping_ = false;
  bool has_drained_ = false;
};

}  // namespace muster::daemon
