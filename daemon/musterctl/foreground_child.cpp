#include "musterctl/foreground_child.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "muster/text.h"

#include "musterctl/console.h"
#include "os/error_text.h"

namespace muster::ctl {
namespace {

constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;
constexpr int kEndedBySignal = 128;

sigset_t awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    ::sigaddset(&set, signal);
  }
  return set;
}

// musterctl's own, with what is added in place of what had the name.
std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool replaced = std::any_of(added.begin(), added.end(), [&](const auto& one) {
      return text.size() > one.first.size() && text.starts_with(one.first) &&
             text[one.first.size()] == '=';
    });
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.emplace_back(name).append("=").append(value);
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Whether a terminal's owner would stop and continue musterctl with the command.
bool has_the_terminal() {
  const os::UniqueFd terminal(::open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  return terminal && ::tcgetpgrp(terminal.get()) == ::getpgrp();
}

}  // namespace

SignalRelay relay_of(int signal, int code) noexcept {
  // Of a terminal that hung up the session's leader alone hears: twice does no harm.
  if (signal == SIGHUP) return SignalRelay::kPassOn;
  return signal == SIGCHLD || code == SI_KERNEL ? SignalRelay::kNone : SignalRelay::kPassOn;
}

int exit_status_of_child(int wait_status) noexcept {
  if (WIFSIGNALED(wait_status)) return kEndedBySignal + WTERMSIG(wait_status);
  return WEXITSTATUS(wait_status);
}

// --- signals

ForegroundSignals::ForegroundSignals() {
  const sigset_t set = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

ForegroundSignals::~ForegroundSignals() {
  // What nobody took, such as the end of the command, is over.
  while (fd_ && next(std::chrono::milliseconds(0))) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<ForegroundSignals::Arrived> ForegroundSignals::next(std::chrono::milliseconds wait) {
  pollfd entry{fd_.get(), POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(wait.count())) <= 0) return std::nullopt;
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return Arrived{static_cast<int>(info.ssi_signo), info.ssi_code};
}

// --- the child

ForegroundChild::ForegroundChild(
    ForegroundSignals& signals, const std::vector<std::string>& command,
    const std::vector<std::pair<std::string, std::string>>& environment)
    : signals_(signals) {
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables = environment_with(environment);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  const sigset_t defaults = signals_that_were_default();
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setsigmask(&attributes, &signals.mask_before());
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const int error = ::posix_spawnp(&pid_, arguments[0].c_str(), nullptr, &attributes,
                                   pointers_to(arguments).data(), pointers_to(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  if (error == 0) return;
  pid_ = -1;
  status_ = error == ENOENT ? kNotFound : kCannotRun;
  problem_ = "cannot run " + quote(command[0]) + ": " + os::error_text(error);
}

std::optional<int> ForegroundChild::wait(std::chrono::milliseconds at_most) {
  if (status_) return status_;
  const auto arrived = signals_.next(at_most);
  if (arrived && relay_of(arrived->signal, arrived->code) == SignalRelay::kPassOn) {
    ::kill(pid_, arrived->signal);
    return status_;
  }
  reap();
  return status_;
}

void ForegroundChild::reap() {
  int state = 0;
  const pid_t changed = ::waitpid(pid_, &state, WNOHANG | WUNTRACED);
  if (changed != pid_) return;
  if (!WIFSTOPPED(state)) {
    status_ = exit_status_of_child(state);
    return;
  }
  // The shell waits for musterctl: it stops, too, until the shell continues both. The kernel
  // ignores this where no shell would.
  if (!has_the_terminal()) return;
  ::raise(SIGTSTP);
  ::kill(pid_, SIGCONT);
}

}  // namespace muster::ctl
