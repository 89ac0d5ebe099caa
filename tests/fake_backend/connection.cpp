#include "fake_backend/connection.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/framing.h"

namespace muster::fake {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

}  // namespace

std::error_code Connection::open(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& path = socket.native();
  if (path.size() >= sizeof(address.sun_path)) {
    return std::make_error_code(std::errc::filename_too_long);
  }
  std::memcpy(address.sun_path, path.data(), path.size());

  close();
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return last_error();
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const std::error_code error = last_error();
    ::close(fd_);
    fd_ = -1;
    return error;
  }
  loop_.watch(fd_, *this, EPOLLIN);
  return {};
}

void Connection::close() {
  if (fd_ < 0) return;
  if (reads_) loop_.forget(fd_);
  ::close(fd_);
  fd_ = -1;
}

void Connection::ready(std::uint32_t events) {
  if (fd_ >= 0 && (events & EPOLLOUT) != 0) flush();
  if (fd_ >= 0 && reads_ && (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read();
}

void Connection::read() {
  std::array<char, 65'536> buffer{};
  const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    close();
    owner_.on_ended(*this);
    return;
  }
  received_.append(buffer.data(), static_cast<std::size_t>(count));
  cut_frames();
}

void Connection::cut_frames() {
  std::size_t used = 0;
  while (fd_ >= 0 && reads_) {
    const wire::FrameView frame =
        wire::next_frame(std::string_view(received_).substr(used), wire::kMaxBackendBody);
    if (frame.status == wire::FrameView::Status::kBad) {
      close();
      owner_.on_bad_frame(*this, frame.problem);
      return;
    }
    if (frame.status == wire::FrameView::Status::kIncomplete) break;
    used += frame.bytes;
    owner_.on_frame(*this, frame.body);
  }
  received_.erase(0, used);
  if (received_.empty()) received_.shrink_to_fit();  // many idle connections own no buffer
}

void Connection::send(std::string_view bytes) {
  if (fd_ < 0) return;
  unsent_ += bytes;
  flush();
}

void Connection::flush() {
  if (gap_.count() > 0) return send_one_byte();
  std::size_t sent = 0;
  while (sent < unsent_.size()) {
    const ssize_t count = ::send(fd_, unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      sent = unsent_.size();  // the broker hung up; reading will tell, after its last words
    }
  }
  unsent_.erase(0, sent);
  watch_for_writing(!unsent_.empty());
}

void Connection::watch_for_writing(bool on) {
  if (on == waits_to_write_ || !reads_) return;
  waits_to_write_ = on;
  loop_.change(fd_, *this, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::trickle(std::chrono::milliseconds gap) { gap_ = gap; }

void Connection::send_one_byte() {
  if (byte_scheduled_ || unsent_.empty()) return;
  if (::send(fd_, unsent_.data(), 1, MSG_NOSIGNAL) == 1) unsent_.erase(0, 1);
  if (unsent_.empty()) return;
  byte_scheduled_ = true;
  loop_.later(gap_, [this, still_there = std::weak_ptr<char>(alive_)] {
    if (still_there.expired() || fd_ < 0) return;
    byte_scheduled_ = false;
    send_one_byte();
  });
}

void Connection::stop_reading() {
  if (fd_ >= 0 && reads_) loop_.forget(fd_);
  reads_ = false;
}

void Connection::half_close() {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

}  // namespace muster::fake
