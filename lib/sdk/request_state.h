// What a Request and a PendingAnswer share: one operation that a handler has in hand.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "muster/backend.h"

#include "sdk/answer_memory.h"

namespace muster {

// One handing over of one operation. A broadcast id alone would not do: a broker that lost its
// state uses ids again. 0 is none.
using RequestSerial = std::uint64_t;

struct RequestRef {
  BroadcastId id = 0;
  RequestSerial serial = 0;
};

// Where answers go. Any thread; works, and does nothing, when the backend is long gone.
class AnswerSink {
 public:
  AnswerSink() = default;
  AnswerSink(const AnswerSink&) = delete;
  AnswerSink& operator=(const AnswerSink&) = delete;
  virtual ~AnswerSink() = default;

  // Throw std::bad_alloc only.
  virtual void answer(RequestRef request, Answer answer) = 0;
  virtual void working(RequestRef request, Working working) = 0;
  // The request is not in its handler's hands any more: that returned, or was never called because
  // the request's time was over.
  virtual void released(RequestRef request) = 0;
  // The caller is on the thread that handlers run on, and one runs.
  [[nodiscard]] virtual bool in_handler() const = 0;
  // There is a broker to ask for more time.
  [[nodiscard]] virtual bool registered() const = 0;
  [[nodiscard]] virtual std::chrono::steady_clock::time_point now() const = 0;
};

inline constexpr char kGaveUpDetail[] =
    "the handler gave up: it saw that nobody waited for its answer any more";
inline constexpr char kDroppedDetail[] = "the handler dropped the request without an answer";

struct Request::State {
  using Clock = std::chrono::steady_clock;

  // `until` is the deadline by the steady clock, which working() moves to at most `latest`.
  State(OutgoingOperation what, RequestSerial serial, std::shared_ptr<AnswerSink> where,
        Clock::time_point until, Clock::time_point latest)
      : message(std::move(what)),
        ref{message.broadcast_id, serial},
        first_deadline(until),
        latest_deadline(latest),
        deadline(until.time_since_epoch().count()),
        sink(std::move(where)) {}

  // The first one counts; none is lost when there is no memory for it: it may be given again.
  void answer(Answer value) {
    if (answered.exchange(true)) return;
    if (auto* failure = std::get_if<Failure>(&value)) cut(failure->detail, kMaxDetailBytes);
    try {
      sink->answer(ref, std::move(value));
    } catch (...) {
      answered = false;
      throw;
    }
  }
  void working(std::chrono::milliseconds extend, std::string note,
               std::optional<std::uint32_t> percent) {
    if (answered.load()) return;
    if (percent) percent = std::min<std::uint32_t>(*percent, 100);
    cut(note, kMaxNoteBytes);
    constexpr std::chrono::milliseconds kMost = std::chrono::hours(24 * 30);
    Working value{std::clamp(extend, std::chrono::milliseconds(0), kMost), percent,
                  std::move(note)};
    if (sink->registered()) move_deadline(value.extend);
    sink->working(ref, std::move(value));
  }
  // Nobody waits for the answer.
  [[nodiscard]] bool over() const {
    return cancelled.load() || sink->now().time_since_epoch().count() >= deadline.load();
  }
  [[nodiscard]] Clock::time_point until() const {
    return Clock::time_point(Clock::duration(deadline.load()));
  }

  const OutgoingOperation message;
  const RequestRef ref;
  const Clock::time_point first_deadline;
  const Clock::time_point latest_deadline;
  std::atomic<Clock::rep> deadline;
  std::atomic<bool> answered = false;
  std::atomic<bool> cancelled = false;
  std::atomic<bool> seen_over = false;  // the handler was told that nobody waits
  std::atomic<bool> reached_handler = false;
  const std::shared_ptr<AnswerSink> sink;

  // The handlers' thread only, while the handler runs.
  bool in_handler = false;
  bool deferred = false;
  std::optional<std::uint64_t> handles_released;  // PendingAnswer reads it after that
  bool dropped = false;                           // deferred, and the PendingAnswer is gone already

 private:
  // What waits to be sent is bounded, whatever a handler says. The wire cuts at a character's
  // beginning; this leaves it one to find.
  static void cut(std::string& text, std::size_t limit) {
    constexpr std::size_t kLongestCharacter = 4;
    if (text.size() > limit + kLongestCharacter) text.resize(limit + kLongestCharacter);
  }
  // As the broker does: more time, never less, and no more than it gives to anybody.
  void move_deadline(std::chrono::milliseconds extend) {
    const auto now = sink->now();
    const auto wanted = extend < latest_deadline - now ? now + extend : latest_deadline;
    const auto until = wanted.time_since_epoch().count();
    auto before = deadline.load();
    while (before < until && !deadline.compare_exchange_weak(before, until)) {
    }
  }
};

using RequestPtr = std::shared_ptr<Request::State>;

// What the operation asks to stay as its handler makes it; nothing when it does not.
[[nodiscard]] std::optional<ActiveHold> hold_of(const OutgoingOperation& operation);

}  // namespace muster
