#include "sdk/backend_loop.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

#include <asio/post.hpp>

#include "muster/path.h"

#include "net/spawn.h"
#include "net/unix_connect.h"
#include "sdk/fork_watch.h"

namespace muster {
namespace {

// All answers that are remembered, each with the longest detail, and as much again.
constexpr std::size_t kMaxQueuedBytes = 2 * 1024 * 1024;

std::string encoded(const wire::BackendFrame& frame) {
  return std::visit(
      [&](const auto& message) {
        if constexpr (std::is_same_v<std::decay_t<decltype(message)>, wire::Cancel>) {
          return wire::encode_cancel(wire::kBackendLane, frame.request_id);
        } else {
          return wire::encode(frame.request_id, message);
        }
      },
      frame.message);
}

std::string why_not(const std::error_code& error, const std::string& socket) {
  const std::string name = escape_bytes(socket);
  if (error == std::errc::permission_denied) {
    return "no permission to connect to " + name +
           ": [sockets] in the broker's configuration says who may";
  }
  return "there is no broker at " + name + ": " + error.message();
}

}  // namespace

// Where PendingAnswers, and all who speak from other threads, leave what they say. Outlives the
// loop, and then does nothing.
class BackendLoop::Sink final : public AnswerSink {
 public:
  explicit Sink(asio::io_context& context) : context_(context), mailbox_([this] { wake(); }) {}

  [[nodiscard]] Mailbox& mailbox() noexcept { return mailbox_; }

  void attach(const std::shared_ptr<BackendLoop>& loop) { loop_ = loop; }

  void answer(BroadcastId id, Answer answer) override {
    now_or_later(AnswerGiven{id, std::move(answer)});
  }
  void working(BroadcastId id, Working working) override {
    now_or_later(MoreTimeAsked{id, std::move(working)});
  }
  [[nodiscard]] bool on_loop() const override {
    return mailbox_.ask([this] { return context_.get_executor().running_in_this_thread(); });
  }

 private:
  void now_or_later(Mail mail) {
    // Only on the loop: who holds the last reference ends the timers, which needs the io_context.
    const auto loop = on_loop() ? loop_.lock() : nullptr;
    if (!loop) return mailbox_.post(std::move(mail));
    loop->enter([&](BackendCore& core) { core.deliver(std::move(mail)); });
  }
  void wake() {
    asio::post(context_, [loop = loop_] {
      if (const auto self = loop.lock()) self->read_mail();
    });
  }

  asio::io_context& context_;  // there until the mailbox is closed
  std::weak_ptr<BackendLoop> loop_;
  Mailbox mailbox_;
};

std::shared_ptr<BackendLoop> BackendLoop::make(asio::io_context& context, std::string socket_path,
                                               Registration registration, Backoff backoff,
                                               MayConnect may_connect) {
  const std::shared_ptr<BackendLoop> loop(
      new BackendLoop(context, std::move(socket_path), std::move(registration), std::move(backoff),
                      std::move(may_connect)));
  loop->sink_->attach(loop);
  return loop;
}

BackendLoop::BackendLoop(asio::io_context& context, std::string socket_path,
                         Registration registration, Backoff backoff, MayConnect may_connect)
    : context_(context),
      socket_path_(std::move(socket_path)),
      may_connect_(std::move(may_connect)),
      pid_(::getpid()),
      sink_(std::make_shared<Sink>(context)),
      core_(std::move(registration), std::move(backoff), *this, sink_, activity_),
      deadlines_{Deadline(context), Deadline(context), Deadline(context)} {}

// --- any thread

void BackendLoop::start(BackendHandlers handlers) {
  {
    const std::lock_guard lock(mutex_);
    core_.set_handlers(std::move(handlers));
  }
  sink_->mailbox().post(StartAsked{});
}

void BackendLoop::activity() {
  if (activity_.raise()) sink_->mailbox().post(ActivitySeen{});
}

void BackendLoop::stop(std::chrono::milliseconds patience) {
  sink_->mailbox().post(StopAsked{patience});
}

bool BackendLoop::wait_until_stopped(std::chrono::milliseconds patience) {
  std::unique_lock lock(stopped_mutex_);
  return stopped_.wait_for(lock, patience, [this] { return state() == ConnectionState::kStopped; });
}

bool BackendLoop::on_loop() const { return sink_->on_loop(); }

void BackendLoop::abandon() {
  const std::lock_guard lock(mutex_);
  std::string words;
  for (const auto& frame : core_.abandon(sink_->mailbox().close())) words += encoded(frame);
  // From here and not from the loop, which may never run again.
  if (stream_) stream_->say_goodbye(words);
  abandoned_ = true;
  asio::post(context_, [self = shared_from_this()] { self->release(); });
}

os::UniqueFd BackendLoop::make_socket() {
  const auto no_fork = hold_off_forks();
  os::UniqueFd socket = net::make_unix_socket();
  struct stat found {};
  if (socket && ::fstat(socket.get(), &found) == 0) {
    socket_.inode = found.st_ino;
    socket_.fd = socket.get();
  }
  return socket;
}

// Not closed: whoever still has the number, the loop that was left behind above all, must not hit
// something else that got it. It becomes a socket at its end.
void BackendLoop::let_go_in_forked_child() noexcept {
  struct stat found {};
  const int fd = socket_.fd;
  if (fd < 0 || ::fstat(fd, &found) != 0 || found.st_ino != socket_.inode) return;
  int ends[2];
  if (!S_ISSOCK(found.st_mode) ||
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return;
  }
  (void)::dup3(ends[0], fd, O_CLOEXEC);
  ::close(ends[0]);
  ::close(ends[1]);
}

// --- the loop

template <class Work>
void BackendLoop::enter(Work work) {
  if (in_forked_child()) return;  // what happens here is the parent's
  const std::lock_guard lock(mutex_);
  if (abandoned_) return;
  try {
    work(core_);
  } catch (const std::exception& e) {
    core_.broke_down(e.what());
  }
}

void BackendLoop::read_mail() {
  for (Mail& mail : sink_->mailbox().take()) {
    enter([&](BackendCore& core) { core.deliver(std::move(mail)); });
  }
}

asio::awaitable<void> BackendLoop::read(std::shared_ptr<BackendLoop> self,
                                        std::shared_ptr<net::FramedStream> stream) {
  for (;;) {
    const net::Received what = co_await stream->receive();
    if (!self->received(stream, what)) co_return;
  }
}

bool BackendLoop::received(const std::shared_ptr<net::FramedStream>& stream,
                           const net::Received& what) {
  if (in_forked_child()) return false;
  enter([&](BackendCore& core) {
    if (stream != stream_) return;
    if (what.error == net::Errc::kBadFrame) return core.malformed(what.problem);
    if (what.error) {
      disconnect();
      return core.disconnected(what.error.message());
    }
    const std::string problem = decoder_.decode(what.body, frame_);
    if (!problem.empty()) return core.malformed(problem);
    core.received(frame_);
  });
  const std::lock_guard lock(mutex_);
  return !abandoned_ && stream == stream_;
}

void BackendLoop::release() {
  const std::lock_guard lock(mutex_);
  stream_.reset();
  for (Deadline& deadline : deadlines_) deadline.timer.cancel();
  core_.set_handlers({});  // what they captured
}

// --- what the core asks for

std::string BackendLoop::connect() {
  if (may_connect_) {
    if (auto why_not = may_connect_(); !why_not.empty()) return why_not;
  }
  os::UniqueFd socket = make_socket();
  // Outside of the lock: a dead file system may hold it up.
  const std::error_code error = socket ? net::connect_unix(socket, socket_path_)
                                       : std::error_code(errno, std::system_category());
  if (error) return why_not(error, socket_path_);
  net::StreamLimits limits;
  limits.queued_bytes = kMaxQueuedBytes;
  stream_ = std::make_shared<net::FramedStream>(context_.get_executor(), std::move(socket), limits);
  const auto failed = [self = shared_from_this()](const char*, std::string_view what) {
    self->enter([&](BackendCore& core) { core.broke_down(what); });
  };
  net::spawn(context_.get_executor(), "backend reader", read(shared_from_this(), stream_), failed);
  return {};
}

void BackendLoop::send(const wire::BackendFrame& frame) {
  if (!stream_) return;
  // A failed write ends the reader, which tells the core; a full queue needs help to do so.
  if (stream_->send_now(encoded(frame)) == net::Errc::kQueueFull) stream_->close();
}

void BackendLoop::disconnect() {
  if (stream_) stream_->close();
  stream_.reset();
}

void BackendLoop::arm(Timer timer, std::chrono::milliseconds delay) {
  Deadline& deadline = deadlines_[static_cast<std::size_t>(timer)];
  const std::uint64_t generation = ++deadline.generation;
  deadline.timer.expires_after(delay);
  deadline.timer.async_wait([self = shared_from_this(), timer, generation](std::error_code) {
    self->enter([&](BackendCore& core) {
      if (self->deadlines_[static_cast<std::size_t>(timer)].generation != generation) return;
      core.timer_fired(timer);
    });
  });
}

void BackendLoop::disarm(Timer timer) {
  Deadline& deadline = deadlines_[static_cast<std::size_t>(timer)];
  ++deadline.generation;
  deadline.timer.cancel();
}

std::chrono::steady_clock::time_point BackendLoop::now() const {
  return std::chrono::steady_clock::now();
}

std::uint64_t BackendLoop::now_unix_ms() const {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
}

void BackendLoop::state_changed(ConnectionState state) {
  {
    const std::lock_guard lock(stopped_mutex_);
    state_ = state;
  }
  if (state == ConnectionState::kStopped) stopped_.notify_all();
}

}  // namespace muster
