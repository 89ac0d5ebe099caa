#include "net/blocking_frames.h"

#include <cerrno>
#include <sys/socket.h>
#include <sys/time.h>

#include "os/error_text.h"
#include "wire/framing.h"

namespace muster::net {

void set_patience(int socket, std::chrono::milliseconds patience) noexcept {
  timeval time{};
  time.tv_sec = patience.count() / 1'000;
  time.tv_usec = patience.count() % 1'000 * 1'000;
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

std::string receive_frame(int socket, std::size_t max_body, std::string& problem) {
  std::string bytes;
  for (;;) {
    const wire::FrameView frame = wire::next_frame(bytes, max_body);
    if (frame.status == wire::FrameView::Status::kBad) problem = frame.problem;
    if (frame.status == wire::FrameView::Status::kComplete) return std::string(frame.body);
    if (!problem.empty()) return {};
    const std::size_t have = bytes.size();
    bytes.resize(frame.bytes);
    const ssize_t size = ::recv(socket, bytes.data() + have, frame.bytes - have, 0);
    if (size < 0 && errno != EINTR) {
      problem = errno == EAGAIN ? "nothing came in time" : os::error_text(errno);
    }
    if (size == 0) problem = "the connection ended";
    bytes.resize(have + static_cast<std::size_t>(size > 0 ? size : 0));
  }
}

std::string send_frame(int socket, std::string_view body) {
  std::string bytes(wire::kHeaderBytes, '\0');
  wire::put_header(bytes.data(), body.size());
  bytes += body;
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t size = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN ? "it was not read in time" : os::error_text(errno);
    sent += static_cast<std::size_t>(size);
  }
  return {};
}

}  // namespace muster::net
