#include "support/child.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace muster::test {
namespace {

// What the parent has open is not the child's: a socket that is open twice does not end when
// one of them is closed.
void keep_only(int one, int other) {
  const auto low = static_cast<unsigned>(std::min(one, other));
  const auto high = static_cast<unsigned>(std::max(one, other));
  if (low > 3) ::close_range(3, low - 1, 0);
  if (high > low + 1) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0U, 0);
}

}  // namespace

void Child::Side::say(std::string_view text) const {
  const std::string line = std::string(text) + "\n";
  if (::write(out_, line.data(), line.size()) < 0) ::_exit(9);
}

void Child::Side::wait_to_be_told() const {
  char byte = 0;
  while (::read(in_, &byte, 1) < 0 && errno == EINTR) {
  }
}

Child::Child(const std::function<void(Side&)>& run) {
  std::array<int, 2> up{};
  std::array<int, 2> down{};
  if (::pipe2(up.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  if (::pipe2(down.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) {
    keep_only(down[0], up[1]);
    Side side(down[0], up[1]);
    try {
      run(side);
    } catch (...) {
      ::_exit(8);
    }
    ::_exit(0);
  }
  ::close(up[1]);
  ::close(down[0]);
  from_child_.reset(up[0]);
  to_child_.reset(down[1]);
}

Child::~Child() {
  kill();
  reap();
}

std::string Child::hear() {
  std::string line;
  char byte = 0;
  while (::read(from_child_.get(), &byte, 1) == 1 && byte != '\n') line += byte;
  return line;
}

bool Child::has_spoken() const {
  pollfd look{from_child_.get(), POLLIN, 0};
  return ::poll(&look, 1, 0) == 1;
}

void Child::tell() { (void)!::write(to_child_.get(), "!", 1); }

void Child::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

void Child::reap() {
  if (pid_ <= 0) return;
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace muster::test
