// Sending: gathered in the outbox, handed to the kernel together; what a socket does not take goes
// to a bounded queue.
#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include <asio/post.hpp>

#include "broker/uring_transport.h"

namespace muster::broker {
void UringTransport::send(ConnectionId id, const FramePtr& frame) {
  Connection* const connection = find_open(id);
  if (connection == nullptr || connection->broken) return;
  put(id, *connection, frame);
}

void UringTransport::send(ConnectionId id, std::string frame) {
  Connection* const connection = find_open(id);
  if (connection == nullptr) return;
  // The last words of a slow reader still go behind what is queued: see hang_up().
  if (connection->broken && connection->queue == nullptr) return;
  put(id, *connection, std::make_shared<const OutboundBytes>(std::move(frame)));
}

void UringTransport::put(ConnectionId id, Connection& connection, const FramePtr& frame) {
  try {
    // What became of the frame before this one must be known: it may have gone out in part.
    if (connection.queue == nullptr && connection.batch == batch_ && !exchange(false)) {
      return break_later(id, connection, core::LossCause::kClosed);
    }
    if (connection.queue != nullptr) return enqueue(id, connection, frame, 0);
    if (connection.broken) return;
    if (frames_.empty() || frames_.back() != frame) frames_.push_back(frame);
    outbox_.push_back({id, static_cast<std::uint32_t>(frames_.size() - 1)});
    connection.batch = batch_;
    if (outbox_.size() >= kSendsAtOnce) exchange(false);
    if (!outbox_.empty()) schedule_turn();
  } catch (const std::exception&) {
    break_later(id, connection, core::LossCause::kClosed);
  }
}

void UringTransport::flush() {
  if (!outbox_.empty() && !exchange(false)) schedule_turn();
}

// Hands the outbox to the kernel; with `collect` also lets it do what it has put off. After true
// the outbox is empty and nothing of it is under way.
bool UringTransport::exchange(bool collect) noexcept {
  do {
    request_sends();
    const bool all = collect ? ring_.submit_and_collect() : ring_.submit();
    take_completions();
    if (!all) return false;
  } while (requested_ < outbox_.size() || ring_.has_requests());
  if (!outbox_.empty()) ++batch_;
  outbox_.clear();
  frames_.clear();
  requested_ = 0;
  return true;
}

void UringTransport::request_sends() noexcept {
  for (; requested_ < outbox_.size(); ++requested_) {
    const Outbound& item = outbox_[requested_];
    const Connection* const connection = find_open(item.connection);
    if (connection == nullptr) continue;
    const auto& bytes = frames_[item.frame]->bytes;
    const auto number = static_cast<std::uint32_t>(requested_);
    const std::uint64_t tag = pack({Tag::Kind::kSend, {number, 0}});
    if (!ring_.send(connection->socket.get(), bytes, tag)) return;
  }
}

// Sends that did not do all are dealt with at once; everything else waits for the loop.
void UringTransport::take_completions() {
  std::size_t kept = inbox_.size();
  ring_.take(inbox_);
  for (std::size_t i = kept; i < inbox_.size(); ++i) {
    const Completion completion = inbox_[i];
    const Tag tag = unpack(completion.tag);
    if (tag.kind == Tag::Kind::kSend) {
      sent_less(tag.connection.slot, completion.result);
    } else {
      inbox_[kept++] = completion;
    }
  }
  inbox_.resize(kept);
  if (next_ < inbox_.size()) schedule_turn();
}

void UringTransport::sent_less(std::size_t number, std::int32_t result) {
  const Outbound item = outbox_[number];
  Connection* const connection = find_open(item.connection);
  if (connection == nullptr) return;
  if (result >= 0 || result == -EAGAIN || result == -EINTR) {
    enqueue(item.connection, *connection, frames_[item.frame],
            static_cast<std::size_t>(std::max(result, 0)));
  } else {
    break_later(item.connection, *connection, core::LossCause::kClosed);
  }
}

void UringTransport::wait_writable(ConnectionId id, Connection& connection) {
  const std::uint64_t tag = pack({Tag::Kind::kWritable, id});
  const int fd = connection.socket.get();
  if (!ring_.wait_writable(fd, tag) && (!ring_.submit() || !ring_.wait_writable(fd, tag))) {
    throw std::system_error(ENOMEM, std::generic_category(), "io_uring");
  }
  schedule_turn();  // which submits it
}

void UringTransport::send_held_back(const Connection& connection) noexcept {
  if (connection.batch == batch_) (void)exchange(false);
}

}  // namespace muster::broker
