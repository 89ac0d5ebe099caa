// muster::Backend: checks the options, picks the loop that the backend lives on, and makes a new
// one in a child that was forked.
#include "muster/backend.h"

#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include "muster/socket_dir.h"

#include "sdk/backend_drivers.h"
#include "sdk/backend_loop.h"
#include "sdk/fork_watch.h"

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
  registration.can_resume = options.can_resume;
  registration.sdk_name = "muster-cpp";
  registration.sdk_version = MUSTER_VERSION;
  if (const auto problem = registration.problem()) throw std::invalid_argument(*problem);
  return registration;
}

// What the environment says wrong is no fault of the caller's: that is waited for.
SocketDirSearch sockets_of(const BackendOptions& options) {
  SocketDirSearch sockets(options.socket_dir);
  if (options.socket_dir.empty()) return sockets;
  if (SocketDir dir = sockets.find(); !dir.problem.empty()) {
    throw std::invalid_argument(dir.problem);
  }
  return sockets;
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
  std::unique_ptr<OwnThreads> threads;
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
        sockets(sockets_of(options)),
        first_retry(options.first_retry),
        longest_retry(options.longest_retry),
        follows_fork(context == nullptr && options.follow_fork && kCanStartThreadAfterFork) {
    if (context == nullptr) {
      threads = std::make_unique<OwnThreads>();
      BackendLoop::Hooks hooks;
      hooks.wake = threads->waker();
      loop = make_loop(std::move(hooks));
    } else {
      driver = std::make_shared<AsioDriver>(*context);
      loop = make_loop(driver->hooks());
      driver->drive(loop);
    }
    watch_forks(*this);
  }
  ~Impl() override = default;

  [[nodiscard]] std::shared_ptr<BackendLoop> make_loop(BackendLoop::Hooks hooks) {
    // The loop asks only until it is abandoned, while this is there.
    hooks.superseded = [this] { return any_watcher_after(*this, takes_the_place); };
    return std::make_shared<BackendLoop>(sockets, registration,
                                         backoff_of(first_retry, longest_retry), std::move(hooks));
  }
  // The newer of two Backends of one process with one key is the one that stays.
  [[nodiscard]] static bool takes_the_place(const ForkWatcher& one, const ForkWatcher& other) {
    const auto& older = static_cast<const Impl&>(one);
    const auto& newer = static_cast<const Impl&>(other);
    return newer.started && newer.loop->state() != ConnectionState::kStopped &&
           newer.registration.key == older.registration.key && newer.sockets == older.sockets;
  }

  [[nodiscard]] bool in_inherited_state() const { return ::getpid() != pid; }

  BackendHandlers& handlers_to_set() {
    if (started) throw std::logic_error("a Backend's handlers are set before start()");
    return handlers;
  }

  // A handler may destroy the Backend before this returns: nothing comes after it.
  void start() {
    if (started.exchange(true)) throw std::logic_error("a Backend is started once");
    follows_fork = follows_fork && ancestors->add_self();
    start_loop();
  }
  void start_loop() {
    const std::shared_ptr<BackendLoop> started_loop = loop;
    OwnThreads* const own = threads.get();
    started_loop->start(follows_fork ? handlers : std::move(handlers));
    if (own != nullptr) own->start(started_loop);
  }

  // The connection is the parent's, and so is the key for as long as it lives. A new loop on new
  // threads waits for that, and then is what the parent's was.
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
    LeftBehind& left = place_to_leave();
    auto new_threads = std::make_unique<OwnThreads>();
    BackendLoop::Hooks hooks;
    hooks.wake = new_threads->waker();
    hooks.why_not_connect = [of = ancestors, count = ancestors->count()] {
      return of->any_lives(count) ? std::string(
                                        "the process that this one was forked from lives, "
                                        "and is the backend")
                                  : std::string();
    };
    auto new_loop = make_loop(std::move(hooks));
    left.threads = std::exchange(threads, std::move(new_threads));
    left.loop = std::exchange(loop, std::move(new_loop));
    pid = ::getpid();
    if (!started) return;
    if (before == ConnectionState::kStopped) return loop->abandon();
    follows_fork = ancestors->add_self();
    start_loop();
  }

  pid_t pid = ::getpid();  // whose it is
  std::atomic<bool> started = false;
  const Registration registration;
  const SocketDirSearch sockets;
  const milliseconds first_retry;
  const milliseconds longest_retry;
  bool follows_fork;
  // Those that it was forked from while it was theirs, and this process.
  std::shared_ptr<Ancestors> ancestors = std::make_shared<Ancestors>();
  BackendHandlers handlers;  // with follows_fork kept for a child
  // Of the first two there is one.
  std::unique_ptr<OwnThreads> threads;
  std::shared_ptr<AsioDriver> driver;
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
  if (impl_->driver) impl_->driver->release();
}

void Backend::on(OperationKind operation, Handler handler) {
  impl_->handlers_to_set().on(operation) = std::move(handler);
}
void Backend::on_cancel(CancelHandler handler) {
  impl_->handlers_to_set().cancel = std::move(handler);
}
void Backend::on_state(StateHandler handler) {
  impl_->handlers_to_set().state = std::move(handler);
}
void Backend::on_active_holds(HoldsHandler handler) {
  impl_->handlers_to_set().active_holds = std::move(handler);
}
void Backend::on_hold_started(HoldStartHandler handler) {
  impl_->handlers_to_set().hold_started = std::move(handler);
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
  if (impl_->threads && !impl_->loop->in_handler()) (void)impl_->loop->wait_until_stopped(patience);
}

ConnectionState Backend::state() const noexcept { return impl_->loop->state(); }

bool Backend::is_held(std::string_view path) const { return impl_->loop->is_held(path); }

bool Backend::is_quiesced() const { return impl_->loop->is_quiesced(); }

}  // namespace muster
