// Joining Muster as a backend.
//
//   muster::BackendOptions options;
//   options.key.service_name = "zccache";
//   options.key.service_version = "1.4.2";
//   muster::Backend backend(std::move(options));
//   backend.on_release_handles([&](muster::Request& request) {
//     cache.close_files_below(request.path_prefix());  // returning acknowledges
//   });
//   backend.on_quiesce([&](muster::Request& request) { server.drain(); });
//   backend.on_hold_ended([&](const muster::HoldEnded&) {
//     if (!backend.is_quiesced()) server.resume();
//   });
//   backend.start();
//   ...
//   if (backend.is_held(path)) return busy();  // before a file is opened
//
// No broker is not an error: the backend connects when there is one, comes back when it restarts,
// registers again, and sends an answer that the old connection lost. An operation that reaches it
// twice is handed to its handler once, for as long as the broker is the same; what a broker asks
// that lost its state is run again, whatever its number. One that the broker refuses (policy,
// quota, key) says so (kRefused) and tries again, at the latest after 60 s, until it is stopped.
//
// Two flavours over one core. With threads of its own: one serves the connection, and another runs
// the handlers, one at a time and in order, so that a handler that is busy or blocks does not keep
// the backend from registering again or from hearing that a request was cancelled. Or on the
// caller's asio::io_context, which one thread must run: handlers run there, and one that blocks
// blocks the connection as well.
//
// A request whose time is over, or that was cancelled, before its handler's turn comes is dropped:
// it is never run late. While a handler runs, Request::cancelled() tells.
//
// Every member function may be called from any thread, and from a handler. What waits to be sent
// is bounded: of the working() calls for one request the newest is kept.
//
// The own threads take no signals (a process that a handler starts there inherits that mask); none
// of this ever raises SIGPIPE. A program that closes all its descriptors (closefrom(3)) costs the
// connection with threads of its own: they notice when next they have something to do, and connect
// again.
//
// Connect after you fork: the broker knows a backend by the process that connected. When it exits
// while another process still has the socket, every broadcast fails for it until that one closes
// it. A child that fork() makes later lets go of its copy of the connection at once, and the
// Backend does nothing there; see BackendOptions::follow_fork for a daemon that goes into the
// background. posix_spawn() and vfork() do none of this. On a caller's io_context the Backend does
// nothing in a child, and may be destroyed: make a new one there.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/path.h"
#include "muster/registration.h"

namespace asio {
class io_context;
}

namespace muster {

struct BackendOptions {
  BackendKey key;
  std::optional<std::chrono::milliseconds> ack_timeout;   // else the broker's default, 5 s
  std::optional<std::chrono::milliseconds> idle_timeout;  // else never quiesced as idle
  Labels labels;
  // A backend that acknowledged a quiesce is quiesced until `musterctl resume`, which
  // on_hold_ended() hears of. False: it cannot take up its work again. It is then listed as
  // "quiesced, restart to resume". So is one that has a handler for on_quiesce() and none for
  // on_hold_ended(), whatever this says.
  bool can_resume = true;
  // Where backend.sock is. Empty: $MUSTER_SOCKET_DIR, else /run/muster if that exists, else
  // $XDG_RUNTIME_DIR/muster; looked up again at each attempt to connect. That there is none yet is
  // no error.
  std::filesystem::path socket_dir;
  // Waits between attempts to connect: doubled from the first to the longest, each jittered to
  // between a half and the whole of it.
  std::chrono::milliseconds first_retry{100};
  std::chrono::milliseconds longest_retry{2'000};
  // Whether a Backend with threads of its own goes on in a child that was forked, once the parent
  // has exited, as a daemon's does that goes into the background: new threads in the child wait for
  // that, then connect and register the same key, within longest_retry. While the parent lives it
  // is the backend, and the child's is kConnecting; requests that the parent was given stay the
  // parent's. Handlers run in the child with what they had captured when start() was called. The
  // child has these threads from the beginning: leave it off in a process whose children must have
  // one alone (unshare(CLONE_NEWUSER) wants that). Under ThreadSanitizer, which forbids such
  // threads, it is always off.
  bool follow_fork = false;
};

enum class ConnectionState {
  kConnecting,  // no broker yet, or on the way back to it
  kRegistered,
  kRefused,  // the broker refused (policy, quota, key): `reason` says why; it is tried again
  kStopped,
};

struct StateChange {
  ConnectionState state = ConnectionState::kConnecting;
  Incarnation incarnation = 0;  // kRegistered
  std::string reason;           // a sentence: why not registered
  // kRegistered: as the broker lists it. Where another process of the same user has the key, too,
  // the replica ends with "~PID", and both are asked.
  BackendKey key;
};

class PendingAnswer;

// One operation in the hands of its handler. Good until the handler returns.
//
// A handler that returns acknowledges; one that throws a std::exception answers BackendError with
// its what(). To answer otherwise call reject() or fail(); to answer later, defer().
class Request {
 public:
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] BroadcastId broadcast_id() const noexcept;
  [[nodiscard]] const BroadcastOperation& operation() const noexcept;
  // True if the operator only asks whether this backend would do it: see Backend::on_preflight().
  // path_prefix(), path_alias(), covers() and reason() are then those of that operation.
  [[nodiscard]] bool is_preflight() const noexcept;
  // Of a release: absolute, lexically normal, symbolic links resolved. Empty for a quiesce.
  [[nodiscard]] std::string_view path_prefix() const noexcept;
  // The same as the operator spelled it, where that differs; else empty.
  [[nodiscard]] std::string_view path_alias() const noexcept;
  // True when `path` is what must be let go: below either of the two.
  [[nodiscard]] bool covers(std::string_view path) const;
  // Of a quiesce.
  [[nodiscard]] QuiesceReason reason() const noexcept;
  // When the answer stops counting, as far as is known here (working() moves it).
  [[nodiscard]] std::chrono::system_clock::time_point deadline() const noexcept;
  // True once nobody waits for the answer any more: the broker cancelled the operation, or its
  // time is over (working() asks for more). Any thread. A handler that works for long looks at this
  // now and then, and returns. Returning after it was true does not acknowledge: the answer is
  // BackendError, since whoever gives up has not done it.
  [[nodiscard]] bool cancelled() const noexcept;
  // To stay released, or quiesced, from the ack until on_hold_ended() is called; nothing where the
  // operator does not ask for that. Its id is what on_hold_ended() names.
  [[nodiscard]] std::optional<ActiveHold> hold() const;
  [[nodiscard]] std::string_view traceparent() const noexcept;
  [[nodiscard]] std::string_view tracestate() const noexcept;

  // How many handles were released, for the ack that returning sends. 0 tells the operator that
  // this backend had nothing open there.
  void released(std::uint64_t handles) noexcept;
  // Answers instead of the ack that returning would send. The first answer counts.
  void reject(std::string detail);
  void fail(std::string detail);
  // Asks for `extend` from now; the broker caps it at its max_ack_timeout.
  void working(std::chrono::milliseconds extend, std::string note = {},
               std::optional<std::uint32_t> percent = {});
  // Takes the answer out of the handler's hands: returning no longer acknowledges.
  [[nodiscard]] PendingAnswer defer();

  struct State;  // the SDK's own

 private:
  friend class PendingAnswer;
  friend class HandlerQueue;
  explicit Request(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// An answer that is still owed. Move-only; any thread may answer. Destroyed unanswered, it answers
// BackendError "the handler dropped the request without an answer": an ack is never made up.
class PendingAnswer {
 public:
  PendingAnswer(PendingAnswer&&) noexcept;
  PendingAnswer& operator=(PendingAnswer&&) noexcept;
  ~PendingAnswer();

  [[nodiscard]] BroadcastId broadcast_id() const noexcept;
  // As Request::cancelled().
  [[nodiscard]] bool cancelled() const noexcept;
  void working(std::chrono::milliseconds extend, std::string note = {},
               std::optional<std::uint32_t> percent = {});
  // The first answer counts; a later one is ignored.
  // `released`: how many handles were, where that is known.
  void ack(std::optional<std::uint64_t> released = {});
  void reject(std::string detail);
  void fail(std::string detail);

 private:
  friend class Request;
  explicit PendingAnswer(std::shared_ptr<Request::State> state);
  std::shared_ptr<Request::State> state_;
};

class Backend {
 public:
  using Handler = std::function<void(Request&)>;
  using CancelHandler = std::function<void(BroadcastId)>;
  using StateHandler = std::function<void(const StateChange&)>;
  using HoldsHandler = std::function<void(const std::vector<ActiveHold>&)>;
  using HoldStartHandler = std::function<void(const ActiveHold&)>;
  using HoldEndHandler = std::function<void(const HoldEnded&)>;

  // With threads of its own. Throws std::invalid_argument when the options break a rule.
  explicit Backend(BackendOptions options);
  // On the caller's loop. `context` must outlive the Backend.
  Backend(BackendOptions options, asio::io_context& context);
  // stop(), without waiting for the broker, even if the caller's io_context runs no more. When it
  // returns no handler runs, and none will: it waits for one that does, unless it is called by it.
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // REQUIRES: before start() (throws std::logic_error after it). An operation without a handler is
  // answered UnsupportedOperation. The others only listen: what they throw is dropped.
  void on(OperationKind operation, Handler handler);
  void on_release_handles(Handler handler) {
    on(OperationKind::kReleaseHandles, std::move(handler));
  }
  void on_quiesce(Handler handler) { on(OperationKind::kQuiesce, std::move(handler)); }
  // Called before an operation of an operator who uses --ask-first. Release nothing here: ack() or
  // returning says "I would", reject() says why not. The answer binds nobody, and the operation may
  // never follow. Without this handler the answer is an ack if the operation has a handler, else
  // UnsupportedOperation. A preflight never reaches the other handlers.
  void on_preflight(Handler handler) { on(OperationKind::kPreflight, std::move(handler)); }
  void on_cancel(CancelHandler handler);  // nobody waits for that broadcast's answer any more
  void on_state(StateHandler handler);
  // At each registration, before anything else; with an empty list when there are none.
  void on_active_holds(HoldsHandler handler);
  // A hold begins for this backend: after it acked a release with one, and at a registration for
  // each active one that it did not know. One without a path is a quiesce that was under way when
  // it registered. For a quiesce that it acks itself this is not called: on_quiesce() was.
  void on_hold_started(HoldStartHandler handler);
  // It ended, whatever `why`: once for each that began, and once for all quiesces that this backend
  // acked, when the last of them ended (hold_id is the broadcast of one of them), upon which it
  // takes up its work again. If the backend was away then, this comes when it is back, with
  // kUnseen unless it is of a quiesce that this backend acked. After the quiesce of a broker
  // that goes down it comes with the registration at the next broker.
  void on_hold_ended(HoldEndHandler handler);

  // Begins to connect. Returns at once; once only (throws std::logic_error the second time). After
  // stop() it does nothing.
  void start();
  // The daemon did something for its users: moves the idle deadline. Cheap; sends at most once a
  // second, and nothing where no idle_timeout was given.
  void activity();
  // Lets a handler that runs answer, deregisters (with threads of its own it waits at most
  // `patience` for both; on the caller's loop, and in a handler, it returns at once and finishes
  // there), closes and never connects again. Answers that were given before are sent before; what
  // still waits for its handler is not run.
  void stop(std::chrono::milliseconds patience = std::chrono::milliseconds(1000));
  [[nodiscard]] ConnectionState state() const noexcept;
  // `path`, absolute and lexically normal, must not be opened: it is at or below the path, or its
  // alias, of a hold that goes on. So it is as well while the handler of a release with a hold runs
  // (or defers): what it closed, no other thread opens again before the ack. False again as soon as
  // that one answers otherwise, or the hold ends, before on_hold_ended() is called. Holds go on
  // while there is no broker, and end for this backend with stop(). A quiesce covers no path.
  // Cheap where there is no hold. In a child that was forked it is false until the child itself has
  // registered.
  [[nodiscard]] bool is_held(std::string_view path) const;
  // No work may be taken: a quiesce goes on that this backend acked, or that it was told of when it
  // registered; or its handler is at one. But for those with the reason idle timeout, which end
  // with the next work. The rest is as with is_held().
  [[nodiscard]] bool is_quiesced() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster
