// Turns of the loop for operators' requests, shared by users and not by connections.
//
// A turn is a millisecond of the loop, for all connections of a user together. A user who asks for
// more waits until the loop has looked at all sockets again. Then the users who wait have a turn
// each, one after the other. So a user with few requests waits for one turn of each other user,
// however many requests those have queued. Root and the broker's own user have every second turn
// when they wait.
//
// A single step that cannot be split (the list of the backends at one instant) may take longer than
// a turn; then its user waits so much the longer.
//
// Nothing here fails: where there is no memory to wait with, a turn begins at once. The loop's
// thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sys/types.h>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

namespace muster::daemon {

class UserTurns : public std::enable_shared_from_this<UserTurns> {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  static constexpr std::chrono::milliseconds kTurn{1};

  explicit UserTurns(asio::any_io_executor loop, Clock now = std::chrono::steady_clock::now);
  UserTurns(const UserTurns&) = delete;
  UserTurns& operator=(const UserTurns&) = delete;

  class Turn;

 private:
  struct User {
    std::chrono::nanoseconds used{};  // of its turn
    std::deque<Turn*> waiting;        // the oldest first
    std::size_t connections = 0;
  };
  using Users = std::map<uid_t, User>;

  void run_later();
  void begin_anew() noexcept;
  void run();
  void let_next_go(User& user) noexcept;
  // A turn that was waited for has ended: its user's next one follows while there is time left.
  void go_on(User& user) noexcept;
  // Null: nobody waits.
  [[nodiscard]] User* next_user();
  void let_all_go() noexcept;

  const asio::any_io_executor loop_;
  const Clock now_;
  Users users_;  // those who are connected
  uid_t last_ = 0;
  bool last_was_privileged_ = false;
  bool is_posted_ = false;
  bool is_taken_ = false;  // somebody who waited has a turn
};

// Of one connection: its requests run between begin() and end(), and whatever they wait for lies
// outside.
class UserTurns::Turn {
 public:
  Turn(std::shared_ptr<UserTurns> turns, uid_t uid);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // Waits until its user has a turn; at once when that has time left. REQUIRES: `turn` lives until
  // it returns.
  static asio::awaitable<void> begin(Turn& turn);
  // Whether others are to have a turn now.
  [[nodiscard]] bool is_over() const;
  void end() noexcept;
  // Ends a wait: begin() returns, without a turn.
  void cancel() noexcept;

 private:
  friend class UserTurns;

  bool wait() noexcept;
  void let_go() noexcept;

  std::shared_ptr<UserTurns> turns_;
  User& user_;
  const uid_t uid_;
  asio::steady_timer timer_;  // cancelled when the turn comes
  bool waits_ = false;
  bool has_waited_ = false;  // for the turn that it has
  std::optional<std::chrono::steady_clock::time_point> began_;
};

}  // namespace muster::daemon
