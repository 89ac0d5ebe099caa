#include "support/test_backend.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <type_traits>
#include <utility>
#include <variant>

#include "wire/framing.h"

namespace muster::test {
namespace {

struct Tell {
  std::uint64_t request_id;

  std::string operator()(const OutgoingOperation& operation) const {
    return "operation " + std::to_string(operation.broadcast_id) + ": " +
           operation.operation.to_string();
  }
  std::string operator()(const wire::Cancel&) const {
    return "cancel " + std::to_string(request_id);
  }
  std::string operator()(const Registered&) const { return "registered"; }
  std::string operator()(const Refusal& refusal) const {
    return "refused (" + std::string(to_string(refusal.code)) + "): " + refusal.reason;
  }
  std::string operator()(const HoldEnded& ended) const {
    return "hold " + std::to_string(ended.hold_id) + " ended";
  }
  std::string operator()(const wire::UnknownMessage&) const { return "unknown message"; }
  std::string operator()(const wire::Deregistered&) const { return "deregistered"; }
};

constexpr char kNothing[] = "nothing";

}  // namespace

os::UniqueFd connect_unix(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(address.sun_path)) throw std::runtime_error("path too long");
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  os::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect " + path.native());
  }
  return socket;
}

Registration registration_of(std::string service) {
  Registration registration;
  registration.key = key_of(std::move(service));
  registration.sdk_name = "test";
  registration.sdk_version = "1";
  return registration;
}

TestBackend::TestBackend(const std::filesystem::path& socket, Pump pump)
    : socket_(connect_unix(socket)),
      pump_(std::move(pump)),
      decoder_(std::make_unique<wire::BrokerFrameDecoder>()) {}

bool TestBackend::pump(short events) {
  if (pump_) return pump_();
  pollfd look{socket_.get(), events, 0};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
  return ::poll(&look, 1, static_cast<int>(patience.count())) == 1;
}

bool TestBackend::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN || !pump(POLLOUT)) {
      return false;
    }
  }
  return true;
}

void TestBackend::registers(const Registration& registration, std::uint64_t request_id) {
  send(wire::encode(request_id, registration));
}

void TestBackend::acks(BroadcastId id) { send(wire::encode(id, Ack{})); }

void TestBackend::fails(BroadcastId id, BroadcastFailureReason reason, std::string detail) {
  send(wire::encode(id, Failure{reason, std::move(detail)}));
}

void TestBackend::works(BroadcastId id, std::chrono::milliseconds extend, std::string note) {
  Working working;
  working.extend = extend;
  working.note = std::move(note);
  send(wire::encode(id, working));
}

void TestBackend::is_active() { send(wire::encode(0, Activity{})); }

void TestBackend::deregisters(std::uint64_t request_id) {
  send(wire::encode(request_id, Deregister{}));
}

bool TestBackend::take_frame(std::string& text) {
  const auto view = wire::next_frame(received_, wire::kMaxControlBody);
  if (view.status == wire::FrameView::Status::kIncomplete) return false;
  if (view.status == wire::FrameView::Status::kBad) {
    text = "garbage: " + view.problem;
    received_.clear();
    return true;
  }
  const auto problem = decoder_->decode(view.body, frame_);
  received_.erase(0, view.bytes);
  text =
      problem.empty() ? std::visit(Tell{frame_.request_id}, frame_.message) : "garbage: " + problem;
  return true;
}

std::string TestBackend::has_heard() {
  std::string text;
  for (;;) {
    if (take_frame(text)) return text;
    std::array<char, 16 * 1024> bytes{};
    const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size > 0) {
      received_.append(bytes.data(), static_cast<std::size_t>(size));
    } else if (size == 0) {
      return received_.empty() ? "end of stream" : "end of stream in the middle of a message";
    } else {
      return errno == EAGAIN ? kNothing : errno == ECONNRESET ? "reset" : std::strerror(errno);
    }
  }
}

std::string TestBackend::hears() {
  for (;;) {
    auto text = has_heard();
    if (text != kNothing || !pump(POLLIN)) return text;
  }
}

}  // namespace muster::test
