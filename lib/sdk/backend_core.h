// What a backend does, without a socket, a clock or a thread: connects, registers, has operations
// handed to handlers, keeps what it owes, comes back.
//
// It is told what happened and asks its BackendPort for what must be done. One caller at a time.
// The port calls nothing back from inside its own functions; handlers run elsewhere (see
// sdk/handler_queue.h), and what they do comes back as Mail.
//
// What is remembered of a broker is good for one epoch of it: a broker that lost its state gives
// ids out again. Of a broker that names no epoch it is good for one connection. Holds and quiesces
// that were acked outlast it: a broker that starts lists the holds that go on.
//
// Invariants:
//   - within an epoch an id is handed to its handler once, however often it is delivered;
//   - an answer is sent only to the epoch that asked, at most once on one connection, and never
//     before Registered; an ack is sent only when a handler gave it;
//   - everything that is kept is bounded.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "muster/backend.h"

#include "sdk/acked_quiesces.h"
#include "sdk/answer_memory.h"
#include "sdk/backoff.h"
#include "sdk/handler_queue.h"
#include "sdk/hold_memory.h"
#include "sdk/mailbox.h"
#include "sdk/request_clock.h"
#include "sdk/request_state.h"
#include "wire/backend_lane.h"

namespace muster {

// "The daemon did something", from any thread, at the price of one load when it was said before.
//
// Raised by whoever is active, lowered by the loop just before it tells the broker: what happens
// after that raises it again, so the last activity of a burst is never lost.
class ActivityFlag {
 public:
  // True for the one that raised it.
  bool raise() noexcept {
    return !raised_.load(std::memory_order_relaxed) && !raised_.exchange(true);
  }
  void lower() noexcept { raised_.store(false); }
  [[nodiscard]] bool raised() const noexcept { return raised_.load(); }

 private:
  std::atomic<bool> raised_ = false;
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
  // The broker does not read: what is sent waits, until drained().
  [[nodiscard]] virtual bool blocked() const = 0;
  // Closes the connection; nothing more is told of it.
  virtual void disconnect() = 0;
  // Each timer is armed once at a time; arming it again replaces it.
  virtual void arm(Timer timer, std::chrono::milliseconds delay) = 0;
  virtual void disarm(Timer timer) = 0;
  [[nodiscard]] virtual std::chrono::steady_clock::time_point now() const = 0;
  [[nodiscard]] virtual std::uint64_t now_unix_ms() const = 0;
  // Any thread may ask for the state: whoever keeps it is told before the handler is.
  virtual void state_changed(ConnectionState state) = 0;
  // Another Backend of this process took this one's place with the broker, and is there still.
  [[nodiscard]] virtual bool superseded() const = 0;

  // As HandlerQueue's.
  [[nodiscard]] virtual bool handles(OperationKind operation) const = 0;
  [[nodiscard]] virtual bool call(HandlerCall call) = 0;
  virtual bool withdraw(RequestSerial serial) noexcept = 0;
};

class BackendCore {
 public:
  // `port` and `activity` outlive the core.
  BackendCore(Registration registration, Backoff backoff, BackendPort& port,
              std::shared_ptr<AnswerSink> sink, ActivityFlag& activity);

  // One that fails may be delivered once more.
  void deliver(Mail& mail);
  void deliver(Mail&& mail) { deliver(mail); }
  void received(wire::BrokerFrame& frame);
  // What came is not the protocol.
  void malformed(std::string_view problem);
  void disconnected(std::string_view why);
  // The broker read all that waited for it.
  void drained();
  void timer_fired(BackendPort::Timer timer);
  // Something that should not happen did (out of memory, a bug): starts over.
  void broke_down(std::string_view what);

  // Before end(): what is still to be said to the broker, in order.
  [[nodiscard]] std::vector<wire::BackendFrame> last_words(std::vector<Mail> last);
  // At once, without a word.
  void end();

  // Any thread.
  [[nodiscard]] bool is_held(std::string_view path) const { return holds_.covers(path); }
  [[nodiscard]] bool is_quiesced() const;

 private:
  enum class Phase {
    kIdle,
    kWaiting,
    kRegistering,
    kRegistered,
    kLeaving,  // stop() was called; the handler that runs is waited for
    kDeregistering,
    kStopped
  };
  struct InHand {
    RequestPtr state;
    bool with_handlers = true;          // waits for its handler, or is with it
    std::optional<Working> unsent;      // while the broker does not read
    std::optional<HoldEnd> hold_ended;  // before the answer: of a quiesce
  };
  using Running = std::unordered_map<BroadcastId, InHand>;

  // --- the connection (backend_core.cpp)
  void start(const StartAsked& asked);
  void try_connect();
  void retry_in(std::chrono::milliseconds delay, StateChange change);
  void lose_connection(std::string reason, std::chrono::milliseconds at_least = {});
  void connection_is_over();
  void on(Registered& registered, std::uint64_t id);
  void on(Refusal& refusal, std::uint64_t id);
  void on(wire::Deregistered& message, std::uint64_t id);
  void on(wire::UnknownMessage& message, std::uint64_t id);
  // `answered`: the request that it answers; 0: none.
  void count_refusal(RefusalCode code, std::uint64_t answered);
  void stop(const StopAsked& asked);
  void leave();
  void finish();
  void enter(Phase phase, StateChange change);
  // False when it was not taken: the handlers are too far behind.
  bool tell(HandlerCall call);

  // --- operations (backend_operations.cpp)
  void on(OutgoingOperation& operation, BroadcastId id);
  void on(wire::Cancel& cancel, BroadcastId id);
  void hand_over(OutgoingOperation& operation, std::chrono::milliseconds left);
  void refuse(BroadcastId id, BroadcastFailureReason reason, std::string detail);
  void answer_at_once(BroadcastId id, Answer answer);
  void drop(Running::iterator in_hand) noexcept;
  [[nodiscard]] bool make_room();
  [[nodiscard]] Running::iterator find(RequestRef request);
  [[nodiscard]] bool with_broker() const {
    return phase_ == Phase::kRegistered || phase_ == Phase::kLeaving;
  }
  void answered(RequestRef request, const Answer& answer);
  void working(RequestRef request, Working working);
  void released(RequestRef request);
  void send_answer(BroadcastId id, const Answer& answer);
  void send_unsent_answers();
  [[nodiscard]] bool any_with_handlers() const;
  void new_epoch(const std::string& epoch);
  void drop_waiting();
  void drop_running();

  // --- holds (backend_holds.cpp)
  [[nodiscard]] static bool holds_path(const OutgoingOperation& operation);
  [[nodiscard]] static bool is_to_last(const OutgoingOperation& operation);
  void note_acked(const InHand& done) noexcept;
  void note_quiesced() noexcept;
  void on(HoldEnded& ended, std::uint64_t id);
  void note_listed(const std::vector<ActiveHold>& holds);
  void tell_of_holds();
  void tell_of_quiesce();

  void activity_seen();
  void send_activity();

  Registration registration_;
  Backoff backoff_;
  Backoff refused_backoff_;
  BackendPort& port_;
  const std::shared_ptr<AnswerSink> sink_;
  ActivityFlag& activity_;

  Phase phase_ = Phase::kIdle;
  StateChange told_;  // what the state handler was told last
  ConnectionSerial connection_ = 0;
  std::uint64_t next_request_id_ = 1;
  std::chrono::steady_clock::time_point registered_at_;
  bool flapping_ = false;  // the last registration did not last
  bool replaced_ = false;  // the last connection ended because another took its place
  // How many connections were refused before the broker knew whose they were: see Register.
  std::uint32_t refused_before_ = 0;
  Limits limits_;
  StopAsked stop_;  // kLeaving

  std::string epoch_;  // what is remembered belongs to
  // The quiesce of a broker that goes down: acked, or a handler is at it. No broker ends it: it is
  // over with the registration in another epoch.
  std::optional<HoldId> shutdown_quiesce_;
  AckedQuiesces quiesces_;              // the others
  std::atomic<bool> quiesced_ = false;  // by any of them that does not end by itself
  std::optional<HoldEnded> over_;       // of quiesces: was not told yet
  HoldMemory holds_;
  RequestClock clock_;
  RequestSerial last_serial_ = 0;
  Running running_;  // handed over, not answered
  AnswerMemory answers_;

  std::chrono::steady_clock::time_point activity_sent_;
  bool activity_waits_ = false;  // its timer is armed
};

}  // namespace muster
