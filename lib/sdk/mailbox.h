// What other threads tell the loop that a backend lives on.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "sdk/answer_memory.h"
#include "sdk/request_state.h"

namespace muster {

struct StartAsked {
  bool can_resume = true;  // there is a handler for the end of a quiesce, as far as it needs one
};
struct AnswerGiven {
  RequestRef request;
  Answer answer;
};
struct MoreTimeAsked {
  RequestRef request;
  Working working;
};
struct RequestReleased {
  RequestRef request;
};
struct ActivitySeen {};
struct StopAsked {
  std::chrono::milliseconds patience{};
  bool in_handler = false;  // by a handler, which is to return first
};
using Mail =
    std::variant<StartAsked, AnswerGiven, MoreTimeAsked, RequestReleased, ActivitySeen, StopAsked>;

// The newer note, and the longer of the two extensions: what two Workings of one request come to.
inline void merge(Working& earlier, Working later) {
  later.extend = std::max(later.extend, earlier.extend);
  earlier = std::move(later);
}

// Any thread. Outlives the loop: once closed it takes nothing and touches nothing.
//
// Bounded by the requests in hand: of each one answer, one release, and of its Workings the newest;
// of ActivitySeen and StartAsked one, as their sender sees to; of StopAsked the last.
class Mailbox {
 public:
  // `wake` makes the loop call take() soon. It is called under a lock, at most once for each
  // take(), and never after close().
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)), pid_(::getpid()) {}

  // Throws std::bad_alloc, and then has not taken `mail`.
  void post(Mail mail) {
    // In a child that was forked there is no loop, and the lock may be held by a thread that is
    // not there.
    if (::getpid() != pid_) return;
    const std::lock_guard lock(mutex_);
    if (closed_ || replaces_earlier(mail)) return;
    const std::size_t before = mail_.size();
    remember_working(mail);
    try {
      mail_.push_back(std::move(mail));
      if (before == 0) wake_();
    } catch (...) {
      mail_.resize(before);
      workings_.clear();
      throw;
    }
  }

  [[nodiscard]] std::vector<Mail> take() {
    const std::lock_guard lock(mutex_);
    workings_.clear();
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
  bool replaces_earlier(Mail& mail) {
    if (auto* more = std::get_if<MoreTimeAsked>(&mail)) {
      const auto found = workings_.find(more->request.serial);
      if (found == workings_.end()) return false;
      merge(std::get<MoreTimeAsked>(mail_[found->second]).working, std::move(more->working));
      return true;
    }
    if (const auto* stop = std::get_if<StopAsked>(&mail)) {
      for (Mail& earlier : mail_) {
        if (auto* same = std::get_if<StopAsked>(&earlier)) {
          *same = *stop;
          return true;
        }
      }
    }
    return false;
  }
  void remember_working(const Mail& mail) {
    const auto* more = std::get_if<MoreTimeAsked>(&mail);
    if (more != nullptr) workings_.emplace(more->request.serial, mail_.size());
  }

  const std::function<void()> wake_;
  const pid_t pid_;
  mutable std::mutex mutex_;
  std::vector<Mail> mail_;
  std::unordered_map<RequestSerial, std::size_t> workings_;  // where in mail_ one waits
  bool closed_ = false;
};

}  // namespace muster
