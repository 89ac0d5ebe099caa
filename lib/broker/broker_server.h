// The broker on Asio: sockets, timers and pidfds around core::Broker.
//
// One io_context, run by one thread; every member function is called on that thread. Lifetime: the
// io_context and the sink outlive the BrokerServer; destroy it after run() returned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "muster/broker_view.h"

#include "core/broker.h"
#include "core/shell.h"
#include "os/unique_fd.h"

namespace asio {
class io_context;
}

namespace muster::broker {

// Who is told what happens: logs, watchers, progress displays.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const Event& event) = 0;
  // Whether acks are worth an event each; asked once an outcome, so it must be cheap.
  [[nodiscard]] virtual bool wants_every_outcome() const noexcept = 0;
  // The broadcast has ended and has a report: answer the operators that wait for it. Called after
  // its last event, which may be missing.
  virtual void on_ended(BroadcastId broadcast) noexcept { (void)broadcast; }
  // What stands on disk of this backend is to be written anew: see core::Shell.
  virtual void on_record_changed(const BackendKey& key) noexcept { (void)key; }
  // To be answered by core::Broker::scanned(), later, once: see core::Shell.
  virtual void on_scan(const core::ScanOrder& order) = 0;
  // What is to stand on disk of holds: core::Broker::holds_to_keep().
  virtual void on_holds_changed() noexcept {}
  // Answer whoever ended it.
  virtual void on_hold_ended(HoldId hold) noexcept { (void)hold; }
  // What whoever looks after the broker should know of the broker itself: descriptors ran out, an
  // exception ended a connection. One sentence; worth a warning in the log. `user`: whose peer it
  // is about; nothing: no peer's that is known.
  virtual void on_trouble(std::string_view sentence, std::optional<uid_t> user) noexcept {
    (void)sentence;
    (void)user;
  }
};

struct ServerOptions {
  core::Config core;
  std::size_t max_queued_bytes = 256 * 1024;  // a connection's send queue
  std::string transport = "auto";             // a kind of make_transport()
  // Descriptors that backends never get. 0: they may use up all, and status has no reserve to show.
  std::uint64_t descriptor_reserve = 0;
  // Gives each new broadcast its id.
  std::function<BroadcastId()> next_broadcast_id;
  // Whether the last one is covered by what is on disk. Empty: it is.
  std::function<bool()> last_id_is_durable;
  // Whether the roster was read whole. Null: yes.
  std::function<bool()> knows_all_backends;
  // An operation key is in use from now on. Empty: nobody keeps them.
  std::function<void(const core::UsedKey&)> key_used;
  // A backend hears that it is registered, and all that follows, after confirm() alone. So does
  // one that deregisters, and its connection stays open until then.
  bool hold_registered = false;
};

// A backend that was registered with the broker before it restarted.
struct RosterBackend {
  Registration registration;
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  // os::start_time() of it. Of one that cannot be seen, its os::ProcessIdentity::unique.
  std::uint64_t start_ticks = 0;
  core::Quiesces quiesced;
  Cause refused = Cause::kNone;  // of one that was not registered: why
  bool is_unseen = false;        // pid and start time are of a namespace that is not this one
};

// What became of a backend that the last broker knew.
enum class Expected : std::uint8_t {
  kYes,
  kGone,    // its process has exited, for certain
  kNotNow,  // it cannot be watched (no descriptor is free): to be tried again
};

class BrokerServer {
 public:
  // Throws std::runtime_error, with a text for people, when the transport cannot be had.
  BrokerServer(asio::io_context& context, ServerOptions options, EventSink& sink);
  ~BrokerServer();
  BrokerServer(const BrokerServer&) = delete;
  BrokerServer& operator=(const BrokerServer&) = delete;

  // Accepts backends on a listening, non-blocking Unix stream socket. May be called for several.
  void listen(os::UniqueFd listener);

  // A backend whose process still lives, or cannot be seen, is expected to come back
  // (core::Broker::expect()).
  Expected expect(RosterBackend backend);

  // The operator's functions of the core; give them now().
  [[nodiscard]] core::Broker& core() noexcept;
  [[nodiscard]] core::Now now() const;
  // To be called when all is open that the process keeps open: what is open now apart from
  // backends does not count as theirs.
  void measure_descriptors();
  // What measure_descriptors() found, and what backends have open.
  [[nodiscard]] DescriptorUsage descriptors() const;
  // Whether another process that has one of the sockets shut it down. It is closed then, and the
  // next one that is given to listen() takes its place.
  [[nodiscard]] bool has_lost_listener() noexcept;
  // Whether somebody accepts backends on every socket. False for good means that the process is to
  // end.
  [[nodiscard]] bool is_serving() const noexcept;
  // Connections of the backend lane, registered or not.
  [[nodiscard]] std::size_t connection_count() const noexcept;
  // With hold_registered: the connections that wait to be confirmed for a key, and all of them.
  [[nodiscard]] std::vector<core::ConnectionId> held(const BackendKey& key) const;
  [[nodiscard]] std::vector<core::ConnectionId> held() const;
  // Nothing happens when it does not wait (any more). REQUIRES: called from the loop, not from
  // inside an event.
  void confirm(core::ConnectionId connection);
  // Frames to backends that leave in later turns of the loop.
  [[nodiscard]] std::size_t waiting_sends() const noexcept;
  [[nodiscard]] std::string_view transport_name() const noexcept;
  // Why "auto" is not the best transport that there is, in words; else empty.
  [[nodiscard]] std::string_view transport_fell_back() const noexcept;

  // As core::Broker::set_policy().
  void set_policy(core::AccessPolicyPtr policy) noexcept;

  // Stops accepting, quiesces (core::Broker::shut_down), then closes every connection and calls
  // `on_drained`; nothing of this server keeps the io_context running after that. Called again
  // while it waits, it cancels what is still open.
  void shut_down(std::function<void()> on_drained, bool quiesce = true);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::broker
