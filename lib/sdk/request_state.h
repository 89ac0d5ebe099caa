// What a Request and a PendingAnswer share: one operation that a handler has in hand.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "muster/backend.h"

#include "sdk/answer_memory.h"

namespace muster {

// Where answers go. Any thread; works, and does nothing, when the backend is long gone.
class AnswerSink {
 public:
  AnswerSink() = default;
  AnswerSink(const AnswerSink&) = delete;
  AnswerSink& operator=(const AnswerSink&) = delete;
  virtual ~AnswerSink() = default;

  // On the backend's own loop both take effect before they return: a handler that works for long
  // on that thread can still say so.
  virtual void answer(BroadcastId id, Answer answer) = 0;
  virtual void working(BroadcastId id, Working working) = 0;
  // The caller is on the thread that handlers run on.
  [[nodiscard]] virtual bool on_loop() const = 0;
};

inline constexpr char kDroppedDetail[] = "the handler dropped the request without an answer";

struct Request::State {
  State(OutgoingOperation what, std::shared_ptr<AnswerSink> where)
      : message(std::move(what)),
        deadline_unix_ms(message.deadline_unix_ms),
        sink(std::move(where)) {}

  // The first one counts.
  void answer(Answer value) {
    if (!answered.exchange(true)) sink->answer(message.broadcast_id, std::move(value));
  }
  void working(std::chrono::milliseconds extend, std::string note,
               std::optional<std::uint32_t> percent) {
    if (answered.load()) return;
    if (percent) percent = std::min<std::uint32_t>(*percent, 100);
    Working value{std::max(extend, std::chrono::milliseconds(0)), percent, std::move(note)};
    sink->working(message.broadcast_id, std::move(value));
  }

  const OutgoingOperation message;
  std::atomic<bool> answered = false;
  std::atomic<bool> cancelled = false;
  std::atomic<std::uint64_t> deadline_unix_ms;
  const std::shared_ptr<AnswerSink> sink;

  // The handlers' thread only, while the handler runs.
  bool in_handler = false;
  bool deferred = false;
  bool dropped = false;  // deferred, and the PendingAnswer is gone already
};

}  // namespace muster
