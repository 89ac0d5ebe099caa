#include "musterd/control/user_turns.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <asio/post.hpp>

#include "core/quota.h"
#include "net/spawn.h"

namespace muster::daemon {

UserTurns::UserTurns(asio::any_io_executor loop, Clock now)
    : loop_(std::move(loop)), now_(std::move(now)) {}

void UserTurns::run_later() {
  if (is_posted_ || is_taken_) return;
  asio::post(loop_, [self = shared_from_this()] { self->run(); });
  is_posted_ = true;
}

// What was used up counts until the loop has looked at its sockets again, and no longer.
void UserTurns::begin_anew() noexcept {
  try {
    run_later();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the next wait() posts it
  }
}

// One user a call: the loop looks at its sockets before the next, which go_on() calls for.
void UserTurns::run() {
  is_posted_ = false;
  for (auto& [uid, user] : users_) user.used = {};
  if (User* const user = next_user()) let_next_go(*user);
}

void UserTurns::let_next_go(User& user) noexcept {
  Turn& next = *user.waiting.front();
  user.waiting.pop_front();
  is_taken_ = true;
  next.has_waited_ = true;
  next.let_go();
}

void UserTurns::go_on(User& user) noexcept {
  is_taken_ = false;
  if (user.used < kTurn && !user.waiting.empty()) return let_next_go(user);
  try {
    run_later();
  } catch (const std::exception&) {
    let_all_go();
  }
}

UserTurns::User* UserTurns::next_user() {
  // After the one that was last, and round again.
  const auto first_waiting = [&](bool privileged) {
    const auto waits = [&](const auto& entry) {
      return !entry.second.waiting.empty() && core::is_privileged(entry.first) == privileged;
    };
    const auto begin = users_.upper_bound(last_);
    const auto found = std::find_if(begin, users_.end(), waits);
    return found != users_.end() ? found : std::find_if(users_.begin(), users_.end(), waits);
  };
  const bool turn_of_privileged = !last_was_privileged_;
  auto next = first_waiting(turn_of_privileged);
  if (next == users_.end()) next = first_waiting(!turn_of_privileged);
  if (next == users_.end()) return nullptr;
  last_was_privileged_ = core::is_privileged(next->first);
  if (!last_was_privileged_) last_ = next->first;
  return &next->second;
}

void UserTurns::let_all_go() noexcept {
  for (auto& [uid, user] : users_) {
    for (Turn* turn : user.waiting) turn->let_go();
    user.waiting.clear();
  }
}

UserTurns::Turn::Turn(std::shared_ptr<UserTurns> turns, uid_t uid)
    : turns_(std::move(turns)), user_(turns_->users_[uid]), uid_(uid), timer_(turns_->loop_) {
  ++user_.connections;
}

UserTurns::Turn::~Turn() {
  cancel();
  if (--user_.connections == 0) turns_->users_.erase(uid_);
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): see the header
asio::awaitable<void> UserTurns::Turn::begin(Turn& turn) {
  turn.end();
  if (turn.wait()) {
    while (turn.waits_) co_await turn.timer_.async_wait(net::kUseTuple);
  }
  turn.began_ = turn.turns_->now_();
}

// False: there is time left.
bool UserTurns::Turn::wait() noexcept {
  if (user_.waiting.empty() && user_.used < kTurn) return false;
  try {
    timer_.expires_at(std::chrono::steady_clock::time_point::max());
    turns_->run_later();
    user_.waiting.push_back(this);
    waits_ = true;
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

bool UserTurns::Turn::is_over() const {
  return began_ && user_.used + (turns_->now_() - *began_) >= kTurn;
}

void UserTurns::Turn::end() noexcept {
  if (began_) {
    user_.used += turns_->now_() - *std::exchange(began_, std::nullopt);
    if (user_.used >= kTurn) turns_->begin_anew();
  }
  if (std::exchange(has_waited_, false)) turns_->go_on(user_);
}

void UserTurns::Turn::let_go() noexcept {
  waits_ = false;
  timer_.cancel();
}

void UserTurns::Turn::cancel() noexcept {
  if (waits_) {
    std::erase(user_.waiting, this);
    let_go();
  }
  end();
}

}  // namespace muster::daemon
