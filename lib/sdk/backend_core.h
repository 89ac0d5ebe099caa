// What a backend does, without a socket, a clock or a thread: connects, registers, hands operations
// to handlers, keeps what it owes, comes back.
//
// It is told what happened and asks its BackendPort for what must be done. One caller at a time.
// Handlers run inside these functions and may bring about answered() and working() from within; the
// port calls nothing back from inside its own functions.
//
// Invariants:
//   - an id is handed to its handler once, however often it is delivered;
//   - an answer is sent at most once on one connection, and never before Registered;
//   - after abandon() no handler is called.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "muster/backend.h"

#include "sdk/activity_flag.h"
#include "sdk/answer_memory.h"
#include "sdk/backoff.h"
#include "sdk/mailbox.h"
#include "sdk/request_state.h"
#include "wire/backend_lane.h"

namespace muster {

struct BackendHandlers {
  Backend::Handler release_handles;
  Backend::Handler quiesce;
  Backend::CancelHandler cancel;
  Backend::StateHandler state;
  Backend::HoldsHandler active_holds;
  Backend::HoldEndHandler hold_ended;
};

// The way out of the core.
class BackendPort {
 public:
  enum class Timer { kRetry, kActivity, kDeregister };
  static constexpr std::size_t kTimers = 3;

  BackendPort() = default;
  BackendPort(const BackendPort&) = delete;
  BackendPort& operator=(const BackendPort&) = delete;
  virtual ~BackendPort() = default;

  // Without waiting. Empty when there is a connection now; else a sentence that says why not.
  [[nodiscard]] virtual std::string connect() = 0;
  // Written at once as far as the socket takes it. When that fails the connection ends, which
  // comes back as disconnected().
  virtual void send(const wire::BackendFrame& frame) = 0;
  // Closes the connection; nothing more is told of it.
  virtual void disconnect() = 0;
  // Each timer is armed once at a time; arming it again replaces it.
  virtual void arm(Timer timer, std::chrono::milliseconds delay) = 0;
  virtual void disarm(Timer timer) = 0;
  [[nodiscard]] virtual std::chrono::steady_clock::time_point now() const = 0;
  [[nodiscard]] virtual std::uint64_t now_unix_ms() const = 0;
  // Any thread may ask for the state: whoever keeps it is told before the handler is.
  virtual void state_changed(ConnectionState state) = 0;
};

class BackendCore {
 public:
  // `port` and `activity` outlive the core.
  BackendCore(Registration registration, Backoff backoff, BackendPort& port,
              std::shared_ptr<AnswerSink> sink, ActivityFlag& activity);

  void set_handlers(BackendHandlers handlers) { handlers_ = std::move(handlers); }

  void deliver(Mail mail);
  void received(wire::BrokerFrame& frame);
  // What came is not the protocol.
  void malformed(std::string_view problem);
  void disconnected(std::string_view why);
  void timer_fired(BackendPort::Timer timer);
  // Something that should not happen did (out of memory, a bug): starts over.
  void broke_down(std::string_view what);

  // Ends at once and without a word to any handler. Returns what is still to be said to the
  // broker, in order.
  [[nodiscard]] std::vector<wire::BackendFrame> abandon(std::vector<Mail> last);

 private:
  enum class Phase {
    kIdle,
    kWaiting,
    kRegistering,
    kRegistered,
    kDeregistering,
    kRefused,
    kStopped
  };
  using StatePtr = std::shared_ptr<Request::State>;

  // --- the connection (backend_core.cpp)
  void start();
  void try_connect();
  void retry(std::string reason, std::chrono::milliseconds at_least = {});
  void lose_connection(std::string reason, std::chrono::milliseconds at_least = {});
  void on(Registered& registered, std::uint64_t id);
  void on(Refusal& refusal, std::uint64_t id);
  void on(wire::Deregistered& message, std::uint64_t id);
  void on(HoldEnded& ended, std::uint64_t id);
  void on(wire::UnknownMessage& message, std::uint64_t id);
  void refused_for_good(std::string reason);
  void stop(std::chrono::milliseconds patience);
  void finish();
  void enter(Phase phase, StateChange change);

  // --- operations (backend_operations.cpp)
  void on(OutgoingOperation& operation, BroadcastId id);
  void on(wire::Cancel& cancel, BroadcastId id);
  void hand_over(const Backend::Handler& handler, const StatePtr& state);
  void answered(BroadcastId id, Answer answer);
  void working(BroadcastId id, const Working& working);
  void send_answer(BroadcastId id, const Answer& answer);
  void send_unsent_answers();
  void drop_running();

  void activity_seen();
  void send_activity();

  const Registration registration_;
  Backoff backoff_;
  BackendPort& port_;
  const std::shared_ptr<AnswerSink> sink_;
  ActivityFlag& activity_;
  BackendHandlers handlers_;

  Phase phase_ = Phase::kIdle;
  StateChange told_;  // what the state handler was told last
  ConnectionSerial connection_ = 0;
  std::uint64_t next_request_id_ = 1;
  std::chrono::steady_clock::time_point registered_at_;
  bool flapping_ = false;  // the last registration did not last
  Limits limits_;

  std::unordered_map<BroadcastId, StatePtr> running_;  // handed over, not answered
  AnswerMemory answers_;

  std::chrono::steady_clock::time_point activity_sent_;
  bool activity_waits_ = false;  // its timer is armed
};

}  // namespace muster
