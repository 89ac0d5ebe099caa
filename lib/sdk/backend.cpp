// muster::Backend: checks the options, picks the loop that the backend lives on, and makes a new
// one in a child that was forked.
#include "muster/backend.h"

#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include "muster/socket_dir.h"

#include "sdk/ancestors.h"
#include "sdk/backend_loop.h"
#include "sdk/fork_watch.h"
#include "sdk/own_thread.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestRetry = std::chrono::hours(24);

Registration registration_of(BackendOptions& options) {
  Registration registration;
  registration.key = std::move(options.key);
  registration.ack_timeout = options.ack_timeout;
  registration.idle_timeout = options.idle_timeout;
  registration.labels = std::move(options.labels);
  registration.sdk_name = "muster-cpp";
  registration.sdk_version = MUSTER_VERSION;
  if (const auto problem = registration.problem()) throw std::invalid_argument(*problem);
  return registration;
}

std::string socket_path_of(const BackendOptions& options) {
  SocketDir dir = find_socket_dir(options.socket_dir);
  if (!dir.problem.empty()) throw std::invalid_argument(dir.problem);
  return dir.path / kBackendSocketName;
}

Backoff backoff_of(milliseconds first, milliseconds longest) {
  if (first <= milliseconds(0) || longest < first || longest > kLongestRetry) {
    throw std::invalid_argument(
        "first_retry is " + std::to_string(first.count()) + " ms and longest_retry " +
        std::to_string(longest.count()) +
        " ms; the first must be above 0, the longest not below it and at most 24 hours");
  }
  std::random_device random;
  return {first, longest, (std::uint64_t{random()} << 32) | random()};
}

// ThreadSanitizer ends a program that starts a thread after it was forked with several.
#if defined(__SANITIZE_THREAD__)
constexpr bool kCanStartThreadAfterFork = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool kCanStartThreadAfterFork = false;
#else
constexpr bool kCanStartThreadAfterFork = true;
#endif
#else
constexpr bool kCanStartThreadAfterFork = true;
#endif

// What a child leaves as it is: threads that are not there may hold its locks for ever. Kept, so
// that it is no leak.
struct LeftBehind {
  std::unique_ptr<OwnThread> thread;
  std::shared_ptr<BackendLoop> loop;
};
LeftBehind& place_to_leave() {
  static auto* const kAll = new std::deque<LeftBehind>;
  return kAll->emplace_back();
}

}  // namespace

struct Backend::Impl final : ForkWatcher {
  Impl(BackendOptions options, asio::io_context* context)
      : registration(registration_of(options)),
        socket_path(socket_path_of(options)),
        first_retry(options.first_retry),
        longest_retry(options.longest_retry),
        follows_fork(context == nullptr && options.follow_fork && kCanStartThreadAfterFork) {
    if (context == nullptr) thread = std::make_unique<OwnThread>();
    loop = BackendLoop::make(context == nullptr ? thread->context() : *context, socket_path,
                             registration, backoff_of(first_retry, longest_retry));
    watch_forks(*this);
  }
  ~Impl() override = default;

  [[nodiscard]] bool in_inherited_state() const { return ::getpid() != pid; }

  BackendHandlers& handlers_to_set() {
    if (started) throw std::logic_error("a Backend's handlers are set before start()");
    return handlers;
  }

  void start() {
    if (std::exchange(started, true)) throw std::logic_error("a Backend is started once");
    follows_fork = follows_fork && ancestors->add_self();
    loop->start(follows_fork ? handlers : std::move(handlers));
    if (thread) thread->start();
  }

  // The connection is the parent's, and so is the key for as long as it lives. A new loop on a new
  // thread waits for that, and then is what the parent's was.
  void in_forked_child() noexcept override {
    loop->let_go_in_forked_child();
    if (!follows_fork) return;
    try {
      follow();
    } catch (...) {
      follows_fork = false;  // nothing is done any more
    }
  }

  void follow() {
    const ConnectionState before = loop->state();
    const bool goes_on =
        before == ConnectionState::kConnecting || before == ConnectionState::kRegistered;
    // Forked by a handler: when that returns its thread has nothing more to do.
    if (thread->is_this_thread()) thread->context().stop();
    LeftBehind& left = place_to_leave();
    auto new_thread = std::make_unique<OwnThread>();
    const auto may_connect = [of = ancestors, count = ancestors->count()] {
      return of->any_lives(count) ? std::string(
                                        "the process that this one was forked from lives, "
                                        "and is the backend")
                                  : std::string();
    };
    auto new_loop = BackendLoop::make(new_thread->context(), socket_path, registration,
                                      backoff_of(first_retry, longest_retry), may_connect);
    left.thread = std::exchange(thread, std::move(new_thread));
    left.loop = std::exchange(loop, std::move(new_loop));
    pid = ::getpid();
    if (!started) return;
    if (!goes_on) return loop->abandon();
    follows_fork = ancestors->add_self();
    loop->start(handlers);
    thread->start();
  }

  pid_t pid = ::getpid();  // whose it is
  bool started = false;
  const Registration registration;
  const std::string socket_path;
  const milliseconds first_retry;
  const milliseconds longest_retry;
  bool follows_fork;
  // Those that it was forked from while it was theirs, and this process.
  std::shared_ptr<Ancestors> ancestors = std::make_shared<Ancestors>();
  BackendHandlers handlers;           // with follows_fork kept for a child
  std::unique_ptr<OwnThread> thread;  // outlives the loop
  std::shared_ptr<BackendLoop> loop;
};

Backend::Backend(BackendOptions options)
    : impl_(std::make_unique<Impl>(std::move(options), nullptr)) {}

Backend::Backend(BackendOptions options, asio::io_context& context)
    : impl_(std::make_unique<Impl>(std::move(options), &context)) {}

Backend::~Backend() {
  unwatch_forks(*impl_);
  if (impl_->in_inherited_state()) {
    // The connection is the parent's, the thread is not here, its locks may be held for ever: what
    // was inherited is left as it is.
    [[maybe_unused]] const Impl* left = impl_.release();
    return;
  }
  impl_->loop->abandon();
}

void Backend::on_release_handles(Handler handler) {
  impl_->handlers_to_set().release_handles = std::move(handler);
}
void Backend::on_quiesce(Handler handler) { impl_->handlers_to_set().quiesce = std::move(handler); }
void Backend::on_cancel(CancelHandler handler) {
  impl_->handlers_to_set().cancel = std::move(handler);
}
void Backend::on_state(StateHandler handler) {
  impl_->handlers_to_set().state = std::move(handler);
}
void Backend::on_active_holds(HoldsHandler handler) {
  impl_->handlers_to_set().active_holds = std::move(handler);
}
void Backend::on_hold_ended(HoldEndHandler handler) {
  impl_->handlers_to_set().hold_ended = std::move(handler);
}

void Backend::start() { impl_->start(); }

void Backend::activity() {
  if (impl_->registration.idle_timeout) impl_->loop->activity();
}

void Backend::stop(milliseconds patience) {
  if (impl_->in_inherited_state()) return;
  if (!impl_->started) return impl_->loop->abandon();
  impl_->loop->stop(patience);
  if (impl_->thread && !impl_->loop->on_loop()) (void)impl_->loop->wait_until_stopped(patience);
}

ConnectionState Backend::state() const noexcept { return impl_->loop->state(); }

}  // namespace muster
