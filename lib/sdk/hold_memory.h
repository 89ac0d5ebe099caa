// The holds that a backend keeps to, and what its handlers have to be told of them. Pure.
//
// A hold goes on while the backend acked its request or was told of it when it registered. It is
// told once that it began and once that it ended: what could not be told yet is given again.
// Quiesces are here until they are answered, and those that it was told of: see AckedQuiesces.
//
// Threads: one changes it, which is the loop; covers() is for any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <variant>
#include <vector>

#include "muster/registration.h"

#include "sdk/handler_queue.h"
#include "sdk/request_state.h"

namespace muster {

class HoldMemory {
 public:
  // Of those that were asked for. Those that are told at a registration are bounded by its frame.
  static constexpr std::size_t kMost = 1024;

  HoldMemory() = default;
  HoldMemory(const HoldMemory&) = delete;
  HoldMemory& operator=(const HoldMemory&) = delete;

  // Any thread: `path` is at or below the path, or its alias, of a hold that goes on, or of a
  // request with a hold whose handler was called and has not answered. Nothing is covered in a
  // child that was forked.
  [[nodiscard]] bool covers(std::string_view path) const;
  // The same of a quiesce, whose hold has no path.
  [[nodiscard]] bool has_quiesce() const;

  // Not in a child that was forked.
  [[nodiscard]] bool is_here() const noexcept { return ::getpid() == pid_; }

  // --- the loop

  [[nodiscard]] bool is_full() const noexcept { return kept_.size() >= kMost; }
  // REQUIRES: hold_of(request->message). Before its handler may be called. Throws std::bad_alloc,
  // and then has not changed.
  void asked(const RequestPtr& request);
  // Its handler acknowledged. Of a quiesce it is dropped() instead.
  void acked(const Request::State& request) noexcept;
  // It is in no handler's hands any more, without an ack that counts.
  void dropped(const Request::State& request) noexcept;
  // What the broker told with a registration, but for those of which `is_known`: the rest of what
  // was kept ended meanwhile. Throws std::bad_alloc, and then has not changed.
  void listed(const std::vector<ActiveHold>& holds, const std::function<bool(HoldId)>& is_known);
  // True when a handler will be told so.
  bool ended(HoldId id, HoldEnd why) noexcept;
  void clear() noexcept;

  // What a handler is to be told next: ends before beginnings. It is given again until it was told.
  // Throws std::bad_alloc.
  using ToTell = std::variant<HoldStarted, HoldEnded>;
  [[nodiscard]] std::optional<ToTell> next_to_tell() const;
  void told(const ToTell& what) noexcept;

 private:
  struct Kept {
    ActiveHold hold;
    RequestPtr asked;  // in a handler's hands, or on its way there
    bool is_acked = false;
    bool is_listed = false;
    std::optional<HoldEnd> ended = {};  // before it was answered; or why it is over
    bool owes_begin = false;            // it was acked, and had ended before
    bool is_told = false;               // that it began

    [[nodiscard]] bool goes_on() const noexcept { return is_acked || is_listed; }
    // Also while its handler is at it.
    [[nodiscard]] bool counts() const noexcept {
      return goes_on() || (asked && !ended && asked->reached_handler.load());
    }
    [[nodiscard]] bool begins() const noexcept { return !is_told && (goes_on() || owes_begin); }
    [[nodiscard]] bool ends() const noexcept { return is_told && !goes_on(); }
  };
  using All = std::vector<Kept>;

  template <class Matches>
  [[nodiscard]] bool any(Matches matches) const;
  [[nodiscard]] All::iterator find(HoldId id) noexcept;
  [[nodiscard]] All::iterator find(const Request::State& request) noexcept;
  // REQUIRES: the lock.
  void forget_what_is_over() noexcept;

  const pid_t pid_ = ::getpid();  // in a child that was forked others may hold the lock for ever
  std::atomic<bool> any_ = false;
  mutable std::mutex mutex_;  // kept by the loop while it changes kept_
  All kept_;
};

}  // namespace muster
