#include "bench/round_board.h"

#include <cerrno>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/eventfd.h>
#include <system_error>

namespace muster::bench {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared between processes");

RoundBoard::RoundBoard() : wake_(eventfd(0, EFD_CLOEXEC)) {
  if (!wake_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void RoundBoard::expect(std::size_t count) noexcept {
  shared_->expected.store(shared_->done.load() + count);
}

void RoundBoard::wait(int seconds) const {
  pollfd wake{wake_.get(), POLLIN, 0};
  if (::poll(&wake, 1, seconds * 1'000) != 1) {
    const std::uint64_t missing = shared_->expected.load() - shared_->done.load();
    throw std::runtime_error(std::to_string(missing) + " answers did not come in " +
                             std::to_string(seconds) + " s");
  }
  eventfd_t ignored = 0;
  eventfd_read(wake_.get(), &ignored);
}

void RoundBoard::one_more() noexcept {
  if (shared_->done.fetch_add(1) + 1 == shared_->expected.load()) eventfd_write(wake_.get(), 1);
}

std::chrono::nanoseconds RoundBoard::registration_time() const noexcept {
  return std::chrono::nanoseconds(shared_->registration_ns.load());
}

void RoundBoard::set_registration_time(std::chrono::nanoseconds time) noexcept {
  shared_->registration_ns.store(time.count());
}

}  // namespace muster::bench
