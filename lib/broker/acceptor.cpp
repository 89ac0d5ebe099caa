#include "broker/acceptor.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <sys/socket.h>
#include <utility>

#include "os/listener.h"

namespace muster::broker {
namespace {

// What passes when others give something back.
bool is_shortage(const std::error_code& error) {
  switch (error.value()) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return true;
    default:
      return false;
  }
}

}  // namespace

Acceptor::Acceptor(asio::io_context& context, Transport& transport, Events& events)
    : transport_(transport), events_(events), pause_(context) {}

Acceptor::~Acceptor() { stop(); }

void Acceptor::listen(os::UniqueFd listener) {
  const auto lost = std::find_if(listeners_.begin(), listeners_.end(),
                                 [](const Listener& one) { return !one.socket; });
  const auto number = static_cast<std::size_t>(lost - listeners_.begin());
  listeners_.reserve(listeners_.size() + 1);
  const auto watch = transport_.watch(listener.get(), *this, number);
  if (number == listeners_.size()) listeners_.emplace_back();
  listeners_[number] = {std::move(listener), watch};
}

void Acceptor::readable(std::uint64_t token) {
  try {
    accept_batch(token);
  } catch (const std::exception& e) {
    events_.accepting_failed(e.what());
  }
}

bool Acceptor::is_serving() const noexcept {
  return !listeners_.empty() &&
         std::all_of(listeners_.begin(), listeners_.end(), [this](const Listener& one) {
           return one.socket && (paused_ || one.watch.generation != 0);
         });
}

bool Acceptor::has_lost_listener() noexcept {
  bool any = false;
  for (Listener& listener : listeners_) {
    drop_if_shut_down(listener);
    any = any || !listener.socket;
  }
  return any;
}

void Acceptor::drop_if_shut_down(Listener& listener) noexcept {
  if (!listener.socket || !os::is_shut_down(listener.socket.get())) return;
  transport_.unwatch(std::exchange(listener.watch, {}));
  listener.socket.reset();
}

void Acceptor::accept_batch(std::size_t number) {
  if (!listeners_[number].socket) return;
  const int listener = listeners_[number].socket.get();
  for (int i = 0; i < kBatch; ++i) {
    if (pauses_for_shortage()) return;
    os::UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      if (!introduce(std::move(socket), number)) return;
      continue;
    }
    const std::error_code error(errno, std::generic_category());
    if (error.value() == EAGAIN || error.value() == EWOULDBLOCK) {
      if (i == 0) drop_if_shut_down(listeners_[number]);
      break;
    }
    if (error.value() == ECONNABORTED || error.value() == EINTR) continue;
    return pause(error.message());
  }
  say_recovered();
}

void Acceptor::say_recovered() noexcept {
  if (!std::exchange(short_of_descriptors_, false)) return;
  events_.accept_trouble("accepting connections again", std::nullopt);
}

bool Acceptor::introduce(os::UniqueFd socket, std::size_t listener) {
  std::error_code error;
  auto peer = os::credentials_of(socket.get(), error);
  if (!peer) {
    events_.accept_trouble("connection dropped: no peer credentials: " + error.message(),
                           std::nullopt);
    return true;
  }
  // By its pid: those that cannot be seen all have none.
  const bool known = last_.pid > 0 && last_.unique != 0 && last_.pid == peer->process.pid &&
                     last_listener_ == listener && events_.still_runs(last_);
  if (known) {
    peer->process = last_;
  } else {
    os::find_process(socket.get(), *peer);
    last_ = peer->pidfd ? peer->process : os::ProcessIdentity{};
    last_listener_ = listener;
  }
  if (is_shortage(peer->trouble)) {
    waiting_ = std::move(socket);
    waiting_listener_ = listener;
    pause(peer->trouble.message());
    return false;
  }
  if (peer->trouble) {
    // Its death is known by its connection alone.
    events_.accept_trouble("the process " + std::to_string(peer->process.pid) +
                               " cannot be watched: " + peer->trouble.message(),
                           peer->uid);
  }
  events_.accepted(std::move(socket), std::move(*peer));
  return true;
}

bool Acceptor::pauses_for_shortage() {
  const std::string why = events_.shortage();
  if (why.empty()) return false;
  pause(why);
  return true;
}

void Acceptor::pause(const std::string& why) {
  for (Listener& listener : listeners_) transport_.unwatch(std::exchange(listener.watch, {}));
  paused_ = true;
  try {
    wait(kPause);
  } catch (...) {  // nothing would end the pause
    paused_ = false;
    watch_all();
    throw;
  }
  if (std::exchange(short_of_descriptors_, true)) return;
  events_.accept_trouble("cannot accept connections (" + why + "): retrying every " +
                             std::to_string(kPause.count()) + " ms",
                         std::nullopt);
}

void Acceptor::wait(std::chrono::milliseconds time) {
  pause_.expires_after(time);
  pause_.async_wait([this](const std::error_code& cancelled) {
    // A wait that had expired when it was cancelled comes all the same: the pause may be over.
    if (!cancelled && paused_) resume();
  });
}

void Acceptor::descriptors_came_back() noexcept {
  if (!paused_ || std::exchange(hurried_, true)) return;
  try {
    wait(std::chrono::milliseconds::zero());
  } catch (const std::exception&) {
    hurried_ = false;  // the pause goes on, or the next who comes back ends it
  }
}

void Acceptor::resume() {
  hurried_ = false;
  try {
    if (pauses_for_shortage()) return;
    paused_ = false;
    if (waiting_) {
      if (!introduce(std::exchange(waiting_, {}), waiting_listener_)) return;
      say_recovered();
    }
    watch_all();
    // Not only when somebody comes: whether it goes on is to be said now.
    for (std::size_t i = 0; i < listeners_.size() && !paused_; ++i) accept_batch(i);
  } catch (const std::exception& e) {
    events_.accepting_failed(e.what());
    pause(std::make_error_code(std::errc::not_enough_memory).message());
  }
}

void Acceptor::watch_all() {
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    Listener& listener = listeners_[i];
    if (!listener.socket || listener.watch.generation != 0) continue;
    listener.watch = transport_.watch(listener.socket.get(), *this, i);
  }
}

void Acceptor::stop() noexcept {
  for (const Listener& listener : listeners_) transport_.unwatch(listener.watch);
  listeners_.clear();
  waiting_.reset();
  paused_ = false;
  pause_.cancel();
}

}  // namespace muster::broker
