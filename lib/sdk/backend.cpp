// muster::Backend: checks the options, and picks the loop that the backend lives on.
#include "muster/backend.h"

#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include "muster/socket_dir.h"

#include "sdk/backend_loop.h"
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

Backoff backoff_of(const BackendOptions& options) {
  const auto first = options.first_retry;
  const auto longest = options.longest_retry;
  if (first <= milliseconds(0) || longest < first || longest > kLongestRetry) {
    throw std::invalid_argument(
        "first_retry is " + std::to_string(first.count()) + " ms and longest_retry " +
        std::to_string(longest.count()) +
        " ms; the first must be above 0, the longest not below it and at most 24 hours");
  }
  std::random_device random;
  return {first, longest, (std::uint64_t{random()} << 32) | random()};
}

}  // namespace

struct Backend::Impl {
  Impl(BackendOptions options, asio::io_context* context) {
    if (context == nullptr) thread.emplace();
    Registration registration = registration_of(options);
    has_idle_timeout = registration.idle_timeout.has_value();
    loop = BackendLoop::make(context == nullptr ? thread->context() : *context,
                             socket_path_of(options), std::move(registration), backoff_of(options));
  }

  [[nodiscard]] bool in_forked_child() const { return ::getpid() != pid; }

  BackendHandlers& handlers_to_set() {
    if (started) throw std::logic_error("a Backend's handlers are set before start()");
    return handlers;
  }

  const pid_t pid = ::getpid();
  bool started = false;
  bool has_idle_timeout = false;
  BackendHandlers handlers;
  std::optional<OwnThread> thread;  // outlives the loop
  std::shared_ptr<BackendLoop> loop;
};

Backend::Backend(BackendOptions options)
    : impl_(std::make_unique<Impl>(std::move(options), nullptr)) {}

Backend::Backend(BackendOptions options, asio::io_context& context)
    : impl_(std::make_unique<Impl>(std::move(options), &context)) {}

Backend::~Backend() {
  if (impl_->in_forked_child()) {
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

void Backend::start() {
  if (std::exchange(impl_->started, true)) {
    throw std::logic_error("a Backend is started once");
  }
  impl_->loop->start(std::move(impl_->handlers));
  if (impl_->thread) impl_->thread->start();
}

void Backend::activity() {
  if (impl_->has_idle_timeout) impl_->loop->activity();
}

void Backend::stop(milliseconds patience) {
  if (impl_->in_forked_child()) return;
  if (!impl_->started) return impl_->loop->abandon();
  impl_->loop->stop(patience);
  if (impl_->thread && !impl_->loop->on_loop()) (void)impl_->loop->wait_until_stopped(patience);
}

ConnectionState Backend::state() const noexcept { return impl_->loop->state(); }

}  // namespace muster
