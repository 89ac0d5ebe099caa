#include "fake_backend/backend_group.h"

#include <cerrno>
#include <csignal>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <system_error>
#include <unistd.h>

namespace muster::fake {
namespace {

// How long the broker may take to confirm that everybody deregistered.
constexpr std::chrono::milliseconds kPatience{1000};

int open_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  return fd;
}

}  // namespace

BackendGroup::BackendGroup(Loop& loop, const Options& options)
    : output_(options.quiet),
      shared_{options, loop, output_, decoder_, {}, [this] { look_again(); }},
      signals_(open_signals()) {
  loop.watch(signals_, *this, EPOLLIN);
  for (std::size_t i = 0; i < options.count; ++i) backends_.emplace_back(shared_, i);
}

BackendGroup::~BackendGroup() {
  shared_.loop.forget(signals_);
  ::close(signals_);
}

void BackendGroup::start() {
  for (FakeBackend& backend : backends_) backend.start();
}

void BackendGroup::ready(std::uint32_t) {
  signalfd_siginfo signal{};
  if (::read(signals_, &signal, sizeof(signal)) != sizeof(signal)) return;
  leaving_ = true;
  shared_.loop.later(kPatience, [this] { shared_.loop.stop(0); });
  for (FakeBackend& backend : backends_) backend.leave();
}

void BackendGroup::look_again() {
  const std::size_t all = backends_.size();
  if (count(BackendState::kRegistered) == all && !ready_told_) {
    ready_told_ = true;
    if (all > 1 || shared_.options.quiet) output_.ready(all);
  }
  const std::size_t refused = count(BackendState::kRefused);
  const std::size_t gone = count(BackendState::kGone);
  const std::size_t unreachable = count(BackendState::kUnreachable);
  const std::size_t over = refused + gone + unreachable;
  if (leaving_ && over + count(BackendState::kAway) == all) shared_.loop.stop(0);
  // Nothing will happen any more. (Those that stay away as their behaviour says live on.)
  if (over != all) return;
  if (gone > 0) {
    shared_.loop.stop(0);
  } else {
    shared_.loop.stop(unreachable > 0 ? kExitUnreachable : kExitRefused);
  }
}

}  // namespace muster::fake
