// What operators talk to: sessions on the control socket.
//
// Requests go to the broker's core, events to who follows a broadcast or watches. An operator that
// does not read loses events, then its connection; nothing here waits for one. The loop's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <asio/any_io_executor.hpp>

#include "muster/broker_view.h"

#include "core/access_policy.h"
#include "core/shell.h"
#include "musterd/config/settings.h"
#include "musterd/log/log.h"
#include "os/unique_fd.h"

namespace muster::broker {
class BrokerServer;
}

namespace muster::daemon {

class History;
class KeyStore;

// What the control plane knows of the daemon around it.
struct ControlFacts {
  std::string version;
  std::string socket_dir;
  std::uint64_t started_unix_ms = 0;
  core::AccessPolicyPtr policy = nullptr;  // null: everybody may do everything
  // Adds what the daemon around it cannot do right now, a sentence each; null: nothing to add.
  std::function<void(std::vector<std::string>& problems)> add_problems = nullptr;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  // An operator says that nobody of a lost roster is missing. False: none was lost. Null: as false.
  std::function<bool()> forget_lost_roster = nullptr;
  // Calls it when what was forgotten before is on disk. Null: nothing is kept there.
  std::function<void(std::function<void()> done)> when_forgotten = nullptr;
  // The same for holds that were started or ended before.
  std::function<void(std::function<void()> done)> when_holds_kept = nullptr;
  KeyStore* keys = nullptr;    // where operation keys are kept; null: nowhere
  History* history = nullptr;  // null: none is kept
};

class ControlPlane {
 public:
  // `log` must outlive it. Destroy it when its sessions ended: after shut_down(), when the loop ran
  // out of work.
  ControlPlane(const asio::any_io_executor& loop, ControlSettings settings, ControlFacts facts,
               Log& log);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // REQUIRES: before listen(). `server` must outlive every session.
  void serve(broker::BrokerServer& server);
  // A listening, non-blocking Unix stream socket. May be called for several.
  void listen(os::UniqueFd listener);

  // From now on, for each request. Null allows everything.
  void set_policy(core::AccessPolicyPtr policy) noexcept;

  void on_event(const Event& event);
  // Answers those who wait for its report: at once, or in a later turn where memory is short now.
  void on_ended(BroadcastId broadcast) noexcept;
  // Looks who has files in use; core::Broker::scanned() hears of it in a later turn, once.
  void on_scan(const core::ScanOrder& order);
  // Answers who ended it.
  void on_hold_ended(HoldId hold) noexcept;
  // The payload of an answer that has the report as it is now; null when there is none (any more).
  [[nodiscard]] std::shared_ptr<const std::string> report_payload(BroadcastId broadcast);
  [[nodiscard]] bool wants_every_outcome() const noexcept;
  // Whether somebody accepts operators on every socket. False for good means that a task failed and
  // could not be started again: the process is to end.
  [[nodiscard]] bool is_serving() const noexcept;
  // Whether another process that has one of the sockets shut it down. It is closed then, and the
  // next one that is given to listen() takes its place.
  [[nodiscard]] bool has_lost_listener();
  [[nodiscard]] std::size_t session_count() const noexcept;

  // Stops accepting, sends what is queued, for a second at most, and closes.
  void shut_down();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::daemon
