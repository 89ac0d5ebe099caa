#include "sdk/own_thread.h"

#include <csignal>
#include <pthread.h>

namespace muster {
namespace {

// Blocks signals for this thread, and so for those that it starts, while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
      sigdelset(&all, fault);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

OwnThread::OwnThread()
    : context_(std::make_shared<asio::io_context>(1)), work_(context_->get_executor()) {}

OwnThread::~OwnThread() {
  work_.reset();
  if (!thread_.joinable()) return;
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void OwnThread::start() {
  const SignalsBlocked blocked;
  thread_ = std::thread([context = context_] {
    pthread_setname_np(pthread_self(), "muster-backend");
    context->run();
  });
}

}  // namespace muster
