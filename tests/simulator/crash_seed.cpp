#include "simulator/crash_seed.h"

#include <array>
#include <atomic>
#include <csignal>
#include <string_view>
#include <unistd.h>

// Sanitizers end the process themselves; where one is linked in, this is there.
extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));  // NOLINT

namespace muster::simulator {
namespace {

std::atomic<std::uint64_t> current_seed{0};

void put(std::string_view text) { (void)!::write(STDERR_FILENO, text.data(), text.size()); }

// Safe in a signal handler: no allocation, no stdio.
void tell_seed() {
  std::array<char, 20> digits{};
  auto at = digits.size();
  auto rest = current_seed.load();
  do {
    digits[--at] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  put("\nthe simulator ran seed ");
  put({digits.data() + at, digits.size() - at});
  put("\n");
}

void on_signal(int signal) {
  tell_seed();
  // The handler was taken away when it was called: now the signal does what it always does.
  ::raise(signal);
}

void install() {
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(tell_seed);
    return;
  }
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

void remember_seed(std::uint64_t seed) {
  [[maybe_unused]] static const bool installed = (install(), true);
  current_seed = seed;
}

}  // namespace muster::simulator
