#include "broker/send_queue.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>

namespace muster::broker {
namespace {

constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
constexpr std::size_t kGather = 16;  // frames in one call

bool would_block(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

std::ptrdiff_t write_now(int fd, std::string_view frame) noexcept {
  const ssize_t written = ::send(fd, frame.data(), frame.size(), kFlags);
  if (written >= 0) return written;
  return would_block(errno) ? 0 : -1;
}

std::optional<core::LossCause> refusal_to_queue(const SendQueue* queue,
                                                const core::QueueAccount* account, std::size_t more,
                                                std::size_t most) noexcept {
  const std::size_t queued = queue == nullptr ? 0 : queue->bytes();
  if (queued + more > most) return core::LossCause::kSlowReader;
  if (account != nullptr && !account->has_room_for(more)) return core::LossCause::kUserQuota;
  return std::nullopt;
}

void say_last_words(int fd, SendQueue* queue) noexcept {
  if (queue != nullptr) (void)queue->flush(fd);
  // A socket that is closed with unread input gives its peer ECONNRESET where the end of the stream
  // should be, behind what we said.
  std::array<char, 4096> unread{};
  for (int i = 0; i < 64 && ::recv(fd, unread.data(), unread.size(), MSG_DONTWAIT) > 0; ++i) {
  }
}

void SendQueue::push(FramePtr frame, std::size_t written) {
  const std::size_t left = frame->bytes.size() - written;
  // What was written goes when it is the larger part, so that the vector does not grow for ever.
  if (first_ > kGather && first_ > frames_.size() / 2) {
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  const bool only = first_ == frames_.size();
  frames_.push_back(std::move(frame));
  if (only) written_ = written;
  bytes_ += left;
  if (account_ != nullptr) account_->used += left;
}

SendQueue::State SendQueue::flush(int fd) noexcept {
  while (bytes_ > 0) {
    std::array<iovec, kGather> parts{};
    std::size_t count = 0;
    std::size_t skip = written_;
    for (std::size_t i = first_; i < frames_.size() && count < kGather; ++i) {
      const std::string& bytes = frames_[i]->bytes;
      // iovec is not const for the sake of reading calls.
      parts[count].iov_base = const_cast<char*>(bytes.data() + skip);
      parts[count++].iov_len = bytes.size() - skip;
      skip = 0;
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t written = ::sendmsg(fd, &message, kFlags);
    if (written < 0) return would_block(errno) ? State::kBlocked : State::kBroken;
    consume(static_cast<std::size_t>(written));
  }
  return State::kEmpty;
}

void SendQueue::consume(std::size_t written) noexcept {
  bytes_ -= written;
  settle(written);
  while (first_ < frames_.size()) {
    const std::size_t left = frames_[first_]->bytes.size() - written_;
    if (written < left) {
      written_ += written;
      return;
    }
    written -= left;
    frames_[first_++].reset();
    written_ = 0;
  }
}

}  // namespace muster::broker
