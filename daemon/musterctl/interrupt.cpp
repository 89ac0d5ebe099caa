#include "musterctl/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace muster::ctl {
namespace {

volatile std::sig_atomic_t received = 0;

void remember(int signal) { received = signal; }

bool catch_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = remember;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // and no SA_RESTART: poll() must return
    ::sigaction(signal, &action, nullptr);
  }
  return true;
}

}  // namespace

int interrupted_by() {
  static const bool caught = catch_signals();
  static_cast<void>(caught);
  return received;
}

}  // namespace muster::ctl
