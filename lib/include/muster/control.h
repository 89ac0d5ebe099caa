// Asking a broker for a broadcast, and about itself.
//
// Blocking calls over one connection; a ControlClient belongs to one thread at a time. Every call
// throws ControlFailure when the broker refuses, cannot be reached or goes away.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

#include "muster/access.h"
#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/history.h"
#include "muster/holders.h"

namespace muster {

class ControlFailure : public std::runtime_error {
 public:
  enum class Kind {
    kUnreachable,  // no broker listens there, or the connection ended; error().message says which
    kRefused,      // the broker said no: error() says why
    kStopped,      // the Tick of while_waiting() stopped the call
  };
  ControlFailure(Kind kind, ControlError error, int system_error = 0)
      : std::runtime_error(error.message),
        kind_(kind),
        error_(std::move(error)),
        system_error_(system_error) {}

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const ControlError& error() const noexcept { return error_; }
  // Of connecting that failed: the errno value. Else 0.
  [[nodiscard]] int system_error() const noexcept { return system_error_; }

 private:
  Kind kind_;
  ControlError error_;
  int system_error_ = 0;
};

struct PingReply {
  std::string broker_version;
  pid_t broker_pid = 0;
  std::chrono::microseconds round_trip{};
};

struct Accepted {
  BroadcastId broadcast_id = 0;
  std::uint32_t targets = 0;
  std::uint32_t skipped_dead = 0;
  bool joined = false;            // a broadcast with this operation_key was there already
  bool backends_unknown = false;  // see BroadcastReport: its report will not be a yes
};

struct Resumed {
  std::uint32_t resumed = 0;         // and were told so
  std::uint32_t cannot_resume = 0;   // still quiesced: they have to be restarted
  std::uint32_t away = 0;            // not connected: they are told when they return
  std::uint32_t still_quiesced = 0;  // by another broadcast
};

class ControlClient {
 public:
  // Called between events while a call waits, at least every 100 ms when `tick` is set: a place to
  // redraw a progress line. Returning false stops waiting (the broadcast goes on).
  using Tick = std::function<bool()>;
  using EventHandler = std::function<void(const Event&)>;

  // How long the broker may take to accept the connection and to give each answer that does not
  // depend on a backend; then kUnreachable.
  static constexpr std::chrono::milliseconds kPatience{10'000};

  // Connects to control.sock in `socket_dir`; empty as in BackendOptions::socket_dir.
  explicit ControlClient(const std::filesystem::path& socket_dir = {},
                         std::chrono::milliseconds patience = kPatience);
  ~ControlClient();
  ControlClient(ControlClient&&) noexcept;
  ControlClient& operator=(ControlClient&&) noexcept;

  // For calls that have no Tick of their own: while one waits, `tick` is called at least every
  // 100 ms; when it returns false the call throws kStopped.
  void while_waiting(Tick tick);
  // The user that the broker's process runs as, as the kernel has it; nothing if it does not say.
  [[nodiscard]] std::optional<uid_t> broker_uid() const;

  PingReply ping();
  // Waits for the result. `on_event` sees kBroadcastStarted first, then what happens.
  // Returns nothing when `tick` stopped the waiting.
  std::optional<BroadcastReport> broadcast(const BroadcastRequest& request,
                                           const EventHandler& on_event = {},
                                           const Tick& tick = {});
  // Returns as soon as the broker took it.
  Accepted start_broadcast(const BroadcastRequest& request);
  DryRun dry_run(const BroadcastRequest& request);
  // id 0: the newest. With `wait`, when it has finished.
  BroadcastReport report(BroadcastId id, bool wait = false);
  // How many backends were still open; 0 when it had finished already.
  std::uint32_t cancel(BroadcastId id);
  // Ends quiesces: of broadcast `id` (0: any), of the backends that `selection` names (empty: all).
  Resumed resume(BroadcastId id, const Selection& selection = {});
  // Removes a dead or lost backend from the list.
  void forget(const BackendKey& key);
  // Says that nobody is missed of those who stood in a roster that the broker could not read: from
  // then on BroadcastReport::backends_unknown is false again.
  void forget_lost_roster();
  std::vector<BackendInfo> backends(const Selection& selection = {});
  BrokerStatus status();
  // What the policy that the broker has in force says, and where the rules stand that decide.
  PolicyExplanation explain_policy(const PolicyQuestion& question);
  // Who has files at or below `path` in use: an absolute path without symbolic links, of the mount
  // namespace with that inode (0: whichever the broker's is). Waits for the scan.
  HolderScan holders(const std::string& path, std::uint64_t mount_namespace = 0);
  // Those that go on.
  std::vector<HoldInfo> holds();
  // Ends it, after a last scan where its release was verified; as it is then.
  HoldInfo end_hold(HoldId id);
  // From now on a leased hold of the same user belongs to this connection: after the broker
  // restarted. `children_after`: in the kernel's clock ticks since it booted; of this process's
  // children those that started later use what is held for it, and are no holders.
  HoldInfo keep_hold(HoldId id, std::optional<std::uint64_t> children_after = std::nullopt);
  // From now on a leased hold of the same user belongs to no connection: it ends with its time, or
  // with end_hold(). On disk when this returns.
  HoldInfo detach_hold(HoldId id);
  // What the broker remembers, also of before it restarted.
  HistoryPage history(const HistoryQuery& query = {});
  // Calls `on_event` for everything that happens until `tick` returns false or the broker goes away
  // (throws kUnreachable).
  void watch(const EventHandler& on_event, const Tick& tick = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster
