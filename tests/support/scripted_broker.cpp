#include "support/scripted_broker.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <variant>

#include "muster/socket_dir.h"

#include "support/backend_frame_text.h"
#include "support/event_log.h"
#include "wire/framing.h"

namespace muster::test {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void wait_for(int fd, short events, const char* what) {
  pollfd poll_fd{fd, events, 0};
  const int limit = static_cast<int>(std::chrono::milliseconds(kGenerous).count());
  int ready = 0;
  do {
    ready = ::poll(&poll_fd, 1, limit);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) fail("poll");
  if (ready == 0) throw std::runtime_error(std::string(what) + " did not come in time");
}

bool is_readable(int fd) {
  pollfd look{fd, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1;
}

}  // namespace

ScriptedBroker::ScriptedBroker(const std::filesystem::path& dir, int backlog)
    : path_(dir / kBackendSocketName), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (!listener_) fail("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) throw std::length_error(path_);
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail("bind");
  }
  if (::listen(listener_.get(), backlog) != 0) fail("listen");
}

ScriptedBroker::~ScriptedBroker() { ::unlink(path_.c_str()); }

bool ScriptedBroker::is_called() const { return is_readable(listener_.get()); }

ScriptedPeer ScriptedBroker::accept() {
  wait_for(listener_.get(), POLLIN, "a connection");
  os::UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) fail("accept4");
  return ScriptedPeer(std::move(socket));
}

wire::BackendFrame ScriptedPeer::next_frame(std::string& end) {
  for (;;) {
    const auto view =
        wire::next_frame(std::string_view(input_).substr(taken_), wire::kMaxBackendBody);
    if (view.status == wire::FrameView::Status::kBad) throw std::runtime_error(view.problem);
    if (view.status == wire::FrameView::Status::kComplete) {
      wire::BackendFrame frame;
      const std::string problem = decoder_->decode(view.body, frame);
      if (!problem.empty()) throw std::runtime_error(problem);
      taken_ += view.bytes;
      return frame;
    }
    wait_for(socket_.get(), POLLIN, "a frame");
    char buffer[4096];
    const ssize_t bytes = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (bytes > 0) {
      input_.append(buffer, static_cast<std::size_t>(bytes));
      continue;
    }
    if (bytes < 0 && errno != ECONNRESET) fail("recv");
    if (taken_ != input_.size()) throw std::runtime_error("closed in the middle of a frame");
    end = bytes == 0 ? "closed" : "reset";
    return {};
  }
}

bool ScriptedPeer::has_spoken() const {
  const auto view =
      wire::next_frame(std::string_view(input_).substr(taken_), wire::kMaxBackendBody);
  return view.status != wire::FrameView::Status::kIncomplete || is_readable(socket_.get());
}

std::string ScriptedPeer::next() {
  std::string end;
  const wire::BackendFrame frame = next_frame(end);
  return end.empty() ? text_of(frame) : end;
}

Registration ScriptedPeer::registration() {
  std::string end;
  wire::BackendFrame frame = next_frame(end);
  if (!end.empty()) throw std::runtime_error("closed instead of Register");
  return std::get<Registration>(std::move(frame.message));
}

std::string ScriptedPeer::welcome(Incarnation incarnation) {
  std::string text = next();
  registered(incarnation);
  return text;
}

void ScriptedPeer::registered(Incarnation incarnation, std::vector<ActiveHold> holds) {
  Registered message;
  message.incarnation = incarnation;
  message.epoch = epoch_;
  message.broker_version = "0.0.0";
  message.limits.max_body_bytes = wire::kMaxBackendBody;
  message.limits.max_ack_timeout = std::chrono::minutes(5);
  message.active_holds = std::move(holds);
  send(wire::encode(1, message));
}

void ScriptedPeer::release(BroadcastId id, std::string path) {
  OutgoingOperation message;
  message.broadcast_id = id;
  message.operation = BroadcastOperation::release_handles(std::move(path));
  message.ack_timeout = std::chrono::seconds(5);
  send(wire::encode(message));
}

void ScriptedPeer::hold(BroadcastId id, std::string path, std::string alias,
                        std::uint64_t expires_unix_ms) {
  OutgoingOperation message;
  message.broadcast_id = id;
  message.operation = BroadcastOperation::release_handles(std::move(path), std::move(alias));
  message.ack_timeout = std::chrono::seconds(5);
  message.hold_id = id;
  message.hold_expires_unix_ms = expires_unix_ms;
  send(wire::encode(message));
}

void ScriptedPeer::quiesce(BroadcastId id, QuiesceReason reason) {
  OutgoingOperation message;
  message.broadcast_id = id;
  message.operation = BroadcastOperation::quiesce(reason);
  message.ack_timeout = std::chrono::seconds(5);
  message.hold_id = id;
  send(wire::encode(message));
}

void ScriptedPeer::cancel(BroadcastId id) { send(wire::encode_cancel(wire::kBackendLane, id)); }

void ScriptedPeer::refuse(RefusalCode code, std::string reason,
                          std::chrono::milliseconds retry_after) {
  send(wire::encode(1, Refusal{code, std::move(reason), retry_after}, true));
}

void ScriptedPeer::hold_ended(HoldId id, HoldEnd why) { send(wire::encode(HoldEnded{id, why})); }

void ScriptedPeer::deregistered() { send(wire::encode(2, wire::Deregistered{})); }

void ScriptedPeer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) fail("send");
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace muster::test
