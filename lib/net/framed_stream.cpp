#include "net/framed_stream.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "net/spawn.h"

namespace muster::net {
namespace {

class StreamCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "muster.stream"; }
  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kEndOfStream:
        return "the peer closed the connection";
      case Errc::kTruncated:
        return "the peer closed the connection in the middle of a message";
      case Errc::kBadFrame:
        return "malformed message";
      case Errc::kQueueFull:
        return "the peer does not read what it is sent";
      case Errc::kClosed:
        return "the connection was closed here";
      case Errc::kNoRoom:
        return "what the peer sends has no room in its user's quota";
    }
    return "unknown stream error " + std::to_string(code);
  }
};

}  // namespace

const std::error_category& stream_category() noexcept {
  static const StreamCategory category;
  return category;
}

namespace {

constexpr std::size_t kFirstBuffer = 4096;      // an idle connection's; grows with what arrives
constexpr std::size_t kKeptBuffer = 64 * 1024;  // a larger one is given back when it is empty
constexpr std::size_t kFramesInOneTurn = 64;
constexpr std::size_t kGather = 32;  // queue entries in one system call

}  // namespace

struct FramedStream::State : std::enable_shared_from_this<State> {
  using Socket = asio::local::stream_protocol::socket;

  State(const asio::any_io_executor& ex, os::UniqueFd fd, StreamLimits stream_limits)
      : executor(ex), socket(ex), limits(std::move(stream_limits)) {
    socket.assign(asio::local::stream_protocol(), fd.get());
    (void)fd.release();
    socket.non_blocking(true);
  }
  ~State() { give_back_buffer(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static asio::awaitable<Received> receive(std::shared_ptr<State> self);
  static asio::awaitable<void> write(std::shared_ptr<State> self);

  // --- reading

  // Drops what the last receive() gave.
  void consume() {
    begin += std::exchange(taken, 0);
    if (begin < end) return;
    begin = end = 0;
    if (capacity > kKeptBuffer) give_back_buffer();
  }

  void give_back_buffer() {
    buffer.reset();
    set_capacity(0);
  }
  // False when what it grows by has no room.
  bool set_capacity(std::size_t bytes) {
    const auto change = static_cast<std::ptrdiff_t>(bytes) - static_cast<std::ptrdiff_t>(capacity);
    if (change != 0 && limits.charge_received && !limits.charge_received(change)) return false;
    capacity = bytes;
    return true;
  }

  // Room to read at least one byte of a frame of `wanted` bytes. What the length says is not
  // allocated before it comes: the buffer at most doubles. False when there is none.
  [[nodiscard]] bool make_room(std::size_t wanted) {
    if (begin > 0) {
      std::memmove(buffer.get(), buffer.get() + begin, end - begin);
      end -= std::exchange(begin, 0);
    }
    if (end < capacity) return true;
    const std::size_t more =
        capacity == 0 ? kFirstBuffer : std::max(capacity + 1, std::min(wanted, capacity * 2));
    auto larger = std::make_unique_for_overwrite<char[]>(more);
    if (!set_capacity(more)) return false;
    if (end > 0) std::memcpy(larger.get(), buffer.get(), end);
    buffer = std::move(larger);
    return true;
  }

  [[nodiscard]] std::error_code end_of(std::error_code ec) const {
    if (closed) return Errc::kClosed;
    if (write_error) return write_error;
    if (ec == asio::error::eof) return begin < end ? Errc::kTruncated : Errc::kEndOfStream;
    return ec;
  }

  // --- writing

  std::error_code enqueue(std::span<const SharedBytes> parts) {
    if (closed || closing) return Errc::kClosed;
    if (write_error) return write_error;
    std::size_t size = 0;
    for (const SharedBytes& part : parts) size += part->size();
    const std::size_t waiting = queued.load(std::memory_order_relaxed);
    if (size > limits.queued_bytes - waiting) return Errc::kQueueFull;
    const std::size_t before = queue.size();
    try {
      for (const SharedBytes& part : parts) {
        if (!part->empty()) queue.push_back(part);
      }
    } catch (...) {
      while (queue.size() > before) queue.pop_back();
      throw;
    }
    queued.store(waiting + size, std::memory_order_release);
    return {};
  }

  // Writes until all is written or the socket takes no more.
  void write_some() {
    while (!queue.empty()) {
      std::array<iovec, kGather> parts{};
      std::size_t count = 0;
      for (std::size_t skip = written; count < std::min(queue.size(), kGather); ++count, skip = 0) {
        const std::string& bytes = *queue[count];
        parts[count] = {const_cast<char*>(bytes.data()) + skip, bytes.size() - skip};
      }
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      const ssize_t sent = ::sendmsg(socket.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        forget(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        blocked = true;
        return;
      } else if (errno != EINTR) {
        return fail({errno, std::system_category()});
      }
    }
  }

  void forget(std::size_t sent) {
    written += sent;
    std::size_t done = 0;
    while (!queue.empty() && written >= queue.front()->size()) {
      written -= queue.front()->size();
      done += queue.front()->size();
      queue.pop_front();
    }
    queued.fetch_sub(done, std::memory_order_release);
  }

  void drop_queue() {
    queue.clear();
    written = 0;
    queued.store(0, std::memory_order_release);
  }

  // Not closed: what the peer said before it went away can still be read, and then receive() ends.
  void fail(std::error_code ec) {
    write_error = ec;
    drop_queue();
    ::shutdown(socket.native_handle(), SHUT_RD);
  }

  void ensure_writer() {
    if (writing || queue.empty()) return;
    writing = true;
    try {
      spawn(executor, "stream writer", write(shared_from_this()),
            [self = shared_from_this()](const char*, std::string_view) { self->close(); });
    } catch (...) {
      writing = false;
      throw;
    }
  }

  // Without a writer the queue holds just what has come now. What is out in part cannot be taken
  // back.
  void ensure_writer_or_take_back() {
    try {
      ensure_writer();
    } catch (...) {
      if (written == 0) {
        drop_queue();
      } else {
        close();
      }
      throw;
    }
  }

  void close() {
    if (std::exchange(closed, true)) return;
    drop_queue();
    std::error_code ignored;
    socket.close(ignored);
  }

  const asio::any_io_executor executor;
  Socket socket;
  const StreamLimits limits;
  bool closed = false;

  // What was read: [begin, end) of the buffer, of which the first `taken` are with the caller.
  std::unique_ptr<char[]> buffer;
  std::size_t capacity = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t taken = 0;
  bool first = true;
  std::size_t frames_in_turn = 0;
  Received ended;  // once error is set: what every further receive() gives

  // What is to be written, of whose front `written` bytes are gone.
  std::deque<SharedBytes> queue;
  std::size_t written = 0;
  std::atomic<std::size_t> queued = 0;
  bool writing = false;  // a writer runs; always so while the queue is not empty
  bool blocked = false;  // it waits for the socket to take more
  bool closing = false;
  std::error_code write_error;
};

asio::awaitable<Received> FramedStream::State::receive(std::shared_ptr<State> self) {
  self->consume();
  if (++self->frames_in_turn > kFramesInOneTurn) {
    self->frames_in_turn = 0;
    co_await asio::post(self->executor, asio::use_awaitable);
  }
  while (!self->ended.error) {
    if (self->closed) {
      self->ended.error = Errc::kClosed;
      break;
    }
    const std::string_view input(self->buffer.get() + self->begin, self->end - self->begin);
    wire::FrameView view =
        wire::next_frame(input, self->first ? self->limits.first_body : self->limits.body);
    if (view.status == wire::FrameView::Status::kComplete) {
      self->first = false;
      self->taken = view.bytes;
      Received received;
      received.body = view.body;
      co_return received;
    }
    if (view.status == wire::FrameView::Status::kBad) {
      self->ended.error = Errc::kBadFrame;
      self->ended.problem = std::move(view.problem);
      break;
    }
    if (!self->make_room(view.bytes)) {
      self->ended.error = Errc::kNoRoom;
      break;
    }
    const asio::mutable_buffer room(self->buffer.get() + self->end, self->capacity - self->end);
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    const std::size_t bytes = co_await self->socket.async_read_some(room, token);
    self->frames_in_turn = 0;
    self->end += bytes;
    if (ec) self->ended.error = self->end_of(ec);
  }
  Received received = self->ended;
  co_return received;
}

asio::awaitable<void> FramedStream::State::write(std::shared_ptr<State> self) {
  co_await asio::post(self->executor, asio::use_awaitable);  // so that one turn's frames gather
  while (!self->closed) {
    self->write_some();
    if (self->queue.empty()) break;
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    co_await self->socket.async_wait(Socket::wait_write, token);
    if (ec) break;
    self->blocked = false;
  }
  self->writing = false;
  if (self->closing) self->close();
}

FramedStream::FramedStream(const asio::any_io_executor& executor, os::UniqueFd socket,
                           StreamLimits limits)
    : state_(std::make_shared<State>(executor, std::move(socket), std::move(limits))) {}

FramedStream::~FramedStream() { state_->close(); }

asio::awaitable<Received> FramedStream::receive() { return State::receive(state_); }

std::error_code FramedStream::send(std::span<const SharedBytes> parts) {
  const std::error_code ec = state_->enqueue(parts);
  state_->ensure_writer_or_take_back();
  return ec;
}

std::error_code FramedStream::send(SharedBytes framed) { return send(std::span(&framed, 1)); }

std::error_code FramedStream::send(std::string framed) {
  return send(std::make_shared<const std::string>(std::move(framed)));
}

std::error_code FramedStream::send_now(SharedBytes framed) {
  if (const std::error_code ec = state_->enqueue(std::span(&framed, 1))) return ec;
  if (!state_->blocked) state_->write_some();
  state_->ensure_writer_or_take_back();
  return state_->write_error;
}

std::error_code FramedStream::send_now(std::string framed) {
  return send_now(std::make_shared<const std::string>(std::move(framed)));
}

void FramedStream::close_after_flush() {
  state_->closing = true;
  state_->ensure_writer();
  if (!state_->writing) state_->close();
}

void FramedStream::close() { state_->close(); }

bool FramedStream::is_open() const noexcept { return !state_->closed; }

bool FramedStream::has_peer() const noexcept {
  if (state_->closed) return false;
  pollfd peer{state_->socket.native_handle(), 0, 0};
  return ::poll(&peer, 1, 0) <= 0 || (peer.revents & (POLLHUP | POLLERR)) == 0;
}

std::size_t FramedStream::queued_bytes() const noexcept {
  return state_->queued.load(std::memory_order_acquire);
}

void FramedStream::say_goodbye(std::string_view framed) noexcept {
  if (state_->closed) return;
  const int fd = state_->socket.native_handle();
  if (queued_bytes() == 0 && !state_->write_error) {
    (void)!::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ::shutdown(fd, SHUT_RDWR);
}

int FramedStream::native_handle() const noexcept {
  return state_->closed ? -1 : state_->socket.native_handle();
}

}  // namespace muster::net
