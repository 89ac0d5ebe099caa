#include "sdk/backend_link.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

#include "net/framed_stream.h"
#include "wire/framing.h"

namespace muster {
namespace {

// All answers that are remembered, each with the longest detail, and as much again.
constexpr std::size_t kMaxQueuedBytes = 2 * 1024 * 1024;
constexpr std::size_t kBackendReadAtOnce = 16 * 1024;
constexpr std::size_t kKeptInput = 64 * 1024;

}  // namespace

std::optional<FileIdentity> FileIdentity::of(int fd) noexcept {
  struct stat found {};
  if (fd < 0 || ::fstat(fd, &found) != 0) return std::nullopt;
  return FileIdentity{found.st_dev, found.st_ino};
}

BackendLink::BackendLink(os::UniqueFd socket)
    : socket_(std::move(socket)), identity_(FileIdentity::of(socket_.get())) {}

BackendLink::~BackendLink() {
  // A child that was forked may have a copy: the broker is to see the end all the same.
  if (is_ours()) ::shutdown(socket_.get(), SHUT_RDWR);
}

bool BackendLink::is_ours() noexcept {
  if (socket_ && FileIdentity::of(socket_.get()) == identity_) return true;
  (void)socket_.release();
  return false;
}

BackendLink::Received BackendLink::receive() {
  Received received;
  for (;;) {
    auto view = wire::next_frame(std::string_view(input_).substr(taken_), wire::kMaxBackendBody);
    if (view.status == wire::FrameView::Status::kComplete) {
      taken_ += view.bytes;
      received.body = view.body;
      return received;
    }
    if (view.status == wire::FrameView::Status::kBad) {
      received.problem = std::move(view.problem);
      return received;
    }
    input_.erase(0, std::exchange(taken_, 0));
    if (input_.empty() && input_.capacity() > kKeptInput) input_ = std::string();
    std::array<char, kBackendReadAtOnce> buffer;  // NOLINT(*-member-init): it is read into
    const ssize_t bytes = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (bytes > 0) {
      input_.append(buffer.data(), static_cast<std::size_t>(bytes));
    } else if (bytes == 0) {
      received.error = error_;
      if (!error_) {
        received.error =
            make_error_code(input_.empty() ? net::Errc::kEndOfStream : net::Errc::kTruncated);
      }
      return received;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return received;
    } else if (errno != EINTR) {
      received.error = {errno, std::system_category()};
      return received;
    }
  }
}

bool BackendLink::send(std::string frames) {
  if (error_) return true;
  if (frames.size() > kMaxQueuedBytes - queued_) return false;
  queued_ += frames.size();
  try {
    queue_.push_back(std::move(frames));
  } catch (...) {
    queued_ -= frames.size();
    throw;
  }
  if (queue_.size() == 1) flush();
  return true;
}

void BackendLink::flush() {
  while (!queue_.empty()) {
    const std::string& front = queue_.front();
    const ssize_t sent = ::send(socket_.get(), front.data() + written_, front.size() - written_,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      written_ += static_cast<std::size_t>(sent);
      if (written_ < front.size()) continue;
      queued_ -= front.size();
      written_ = 0;
      queue_.pop_front();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      error_ = {errno, std::system_category()};
      return fail();
    }
  }
}

// Not closed: what the broker said before it went away can still be read.
void BackendLink::fail() noexcept {
  queue_.clear();
  written_ = queued_ = 0;
  ::shutdown(socket_.get(), SHUT_RD);
}

void BackendLink::say_goodbye(std::string_view frames) noexcept {
  if (!is_ours()) return;
  if (queue_.empty() && !error_) {
    (void)!::send(socket_.get(), frames.data(), frames.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ::shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace muster
