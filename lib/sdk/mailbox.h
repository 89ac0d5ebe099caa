// What other threads tell the loop that a backend lives on.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include "sdk/answer_memory.h"

namespace muster {

struct StartAsked {};
struct AnswerGiven {
  BroadcastId id = 0;
  Answer answer;
};
struct MoreTimeAsked {
  BroadcastId id = 0;
  Working working;
};
struct ActivitySeen {};
struct StopAsked {
  std::chrono::milliseconds patience{};
};
using Mail = std::variant<StartAsked, AnswerGiven, MoreTimeAsked, ActivitySeen, StopAsked>;

// Any thread. Outlives the loop: once closed it takes nothing and touches nothing.
class Mailbox {
 public:
  // `wake` makes the loop call take() soon. It is called under a lock, at most once for each
  // take(), and never after close().
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)), pid_(::getpid()) {}

  void post(Mail mail) {
    // In a child that was forked there is no loop, and the lock may be held by a thread that is
    // not there.
    if (::getpid() != pid_) return;
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    mail_.push_back(std::move(mail));
    if (mail_.size() == 1) wake_();
  }

  [[nodiscard]] std::vector<Mail> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(mail_, {});
  }

  // Returns what was not taken.
  [[nodiscard]] std::vector<Mail> close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    return std::exchange(mail_, {});
  }

  // Runs `question` unless closed: what it looks at stays until it returns. False when closed.
  template <class Question>
  [[nodiscard]] bool ask(Question question) const {
    if (::getpid() != pid_) return false;
    const std::lock_guard lock(mutex_);
    return !closed_ && question();
  }

 private:
  const std::function<void()> wake_;
  const pid_t pid_;
  mutable std::mutex mutex_;
  std::vector<Mail> mail_;
  bool closed_ = false;
};

}  // namespace muster
