// How many descriptors backends may have open: all that the process may have, less what it had
// open before and less a reserve, so that an operator gets in when backends have used up the rest.
//
// Counted, not guessed: a connection is one, and so is each process that has connections. The
// limit can be changed from outside (prlimit(1)): it is looked up again when it seems to be
// reached, while nothing is accepted, and for every status. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "muster/broker_view.h"

#include "os/descriptor_limit.h"

namespace muster::broker {

class DescriptorBudget {
 public:
  // Reserve 0: nothing is kept, and the kernel alone says when there are no more.
  explicit DescriptorBudget(std::uint64_t reserve) noexcept
      : wanted_reserve_(reserve), limit_(os::descriptor_limit()) {}

  // What is open now, apart from `of_backends`, stays open as long as the broker runs.
  void measure(std::uint64_t of_backends) {
    const std::uint64_t open = os::count_open_descriptors();
    others_ = open - std::min(open, of_backends);
  }

  void look_up_limit() noexcept { limit_ = os::descriptor_limit(); }

  // Whether one more connection, and its process, have room beside `of_backends`.
  [[nodiscard]] bool has_room(std::uint64_t of_backends) noexcept {
    if (wanted_reserve_ == 0 || fits(of_backends + 2)) return true;
    look_up_limit();
    return fits(of_backends + 2);
  }

  // `exhausted` is the caller's to say.
  [[nodiscard]] DescriptorUsage usage(std::uint64_t of_backends) noexcept {
    look_up_limit();
    return {others_ + of_backends, limit_, reserve(), false};
  }

 private:
  // Where the limit is low, backends need some, too.
  [[nodiscard]] std::uint64_t reserve() const noexcept {
    return std::min(wanted_reserve_, limit_ / 4);
  }
  [[nodiscard]] bool fits(std::uint64_t of_backends) const noexcept {
    return others_ + of_backends + reserve() <= limit_;
  }

  std::uint64_t wanted_reserve_;
  std::uint64_t limit_;
  std::uint64_t others_ = 0;
};

}  // namespace muster::broker
