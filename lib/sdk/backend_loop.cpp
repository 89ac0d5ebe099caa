#include "sdk/backend_loop.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <new>
#include <sys/socket.h>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

#include "net/framed_stream.h"
#include "net/unix_connect.h"
#include "sdk/connect_text.h"
#include "sdk/fork_watch.h"

namespace muster {
namespace {

// However much the broker sends: after so long, or so many frames, timers, mail and handlers have
// their turn.
constexpr std::chrono::milliseconds kReadingTurn{20};
constexpr int kFramesOfATurn = 256;
constexpr std::chrono::milliseconds kAfterBreakdown{100};

std::string encoded(const wire::BackendFrame& frame) {
  return std::visit(
      [&](const auto& message) {
        using Message = std::decay_t<decltype(message)>;
        if constexpr (std::is_same_v<Message, wire::Cancel>) {
          return wire::encode_cancel(wire::kBackendLane, frame.request_id);
        } else if constexpr (std::is_same_v<Message, Registration>) {
          return wire::encode(frame.request_id, message, frame.refused_before);
        } else {
          return wire::encode(frame.request_id, message);
        }
      },
      frame.message);
}

}  // namespace

// Where PendingAnswers, and all who speak from other threads, leave what they say. Outlives the
// loop, and then does nothing.
class BackendLoop::Sink final : public AnswerSink {
 public:
  explicit Sink(BackendLoop& loop) : loop_(loop), mailbox_([&loop] { loop.hooks_.wake(); }) {}

  [[nodiscard]] Mailbox& mailbox() noexcept { return mailbox_; }

  void answer(RequestRef request, Answer answer) override {
    now_or_later(AnswerGiven{request, std::move(answer)});
  }
  // On the loop it takes effect before it returns: a handler that works for long there can still
  // say so.
  void working(RequestRef request, Working working) override {
    now_or_later(MoreTimeAsked{request, std::move(working)});
  }
  void released(RequestRef request) override { now_or_later(RequestReleased{request}); }
  [[nodiscard]] bool in_handler() const override {
    return mailbox_.ask([this] { return loop_.in_handler(); });
  }
  [[nodiscard]] bool registered() const override {
    return mailbox_.ask([this] { return loop_.state() == ConnectionState::kRegistered; });
  }
  [[nodiscard]] std::chrono::steady_clock::time_point now() const override {
    return std::chrono::steady_clock::now();
  }

 private:
  void now_or_later(Mail mail) {
    std::shared_ptr<BackendLoop> loop;
    const bool on_loop = mailbox_.ask([&] {
      if (!loop_.hooks_.on_loop || !loop_.hooks_.on_loop()) return false;
      loop = loop_.weak_from_this().lock();
      return loop != nullptr;
    });
    if (!on_loop) return mailbox_.post(std::move(mail));
    loop->deliver_now(std::move(mail));
  }

  BackendLoop& loop_;  // there until the mailbox is closed
  Mailbox mailbox_;
};

BackendLoop::BackendLoop(SocketDirSearch sockets, Registration registration, Backoff backoff,
                         Hooks hooks)
    : sockets_(std::move(sockets)),
      hooks_(std::move(hooks)),
      pid_(::getpid()),
      sink_(std::make_shared<Sink>(*this)),
      core_(std::move(registration), std::move(backoff), *this, sink_, activity_) {}

// --- any thread

void BackendLoop::start(BackendHandlers handlers) {
  const StartAsked asked{handlers.can_resume()};
  handlers_.set_handlers(std::move(handlers));
  sink_->mailbox().post(asked);
}

void BackendLoop::activity() {
  if (activity_.raise()) sink_->mailbox().post(ActivitySeen{});
}

void BackendLoop::stop(std::chrono::milliseconds patience) {
  sink_->mailbox().post(StopAsked{patience, in_handler()});
}

bool BackendLoop::wait_until_stopped(std::chrono::milliseconds patience) {
  std::unique_lock lock(stopped_mutex_);
  return stopped_.wait_for(lock, patience, [this] { return state() == ConnectionState::kStopped; });
}

void BackendLoop::abandon() {
  handlers_.close();
  const std::lock_guard lock(mutex_);
  std::string words;
  try {
    for (const auto& frame : core_.last_words(sink_->mailbox().close())) words += encoded(frame);
  } catch (const std::exception&) {  // no memory: the broker sees the connection end
    words.clear();
  }
  core_.end();
  // From here and not from the loop, which may never run again.
  if (link_) link_->say_goodbye(words);
  abandoned_ = true;
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
bool BackendLoop::enter(Work work) {
  if (in_forked_child()) return true;  // what happens here is the parent's
  const std::lock_guard lock(mutex_);
  if (abandoned_) return true;
  try {
    work(core_);
    return true;
  } catch (const std::exception& e) {
    break_down(e.what());
    return false;
  }
}

void BackendLoop::break_down(const char* what) noexcept {
  try {
    broken_ = false;
    core_.broke_down(what);
  } catch (...) {
    broken_ = true;
  }
}

void BackendLoop::deliver_now(Mail mail) {
  deliver(mail);
  hooks_.changed();
}

// A failure costs the connection, but neither an answer that a handler gave nor a start or a stop:
// what they say is said once more.
void BackendLoop::deliver(Mail& mail) {
  const auto work = [&](BackendCore& core) { core.deliver(mail); };
  if (!enter(work)) enter(work);
}

BackendLoop::Wants BackendLoop::turn() {
  if (std::exchange(broken_, false)) {
    enter([](BackendCore&) { throw std::bad_alloc(); });
  }
  read_mail();
  fire_timers();
  read_socket();
  write_socket();
  handlers_.publish();
  return wants();
}

BackendLoop::Wants BackendLoop::wants() {
  Wants wants;
  if (in_forked_child()) {
    wants.ended = true;
    return wants;
  }
  const std::lock_guard lock(mutex_);
  wants.ended = abandoned_;
  if (abandoned_) return wants;
  if (link_) {
    wants.fd = link_->fd();
    wants.connection = connection_;
    wants.write = link_->blocked();
  }
  for (const auto& time : timers_) {
    if (time && (!wants.time || *time < *wants.time)) wants.time = time;
  }
  if (reads_on_ && link_) wants.time = std::chrono::steady_clock::now();
  if (broken_) wants.time = std::chrono::steady_clock::now() + kAfterBreakdown;
  return wants;
}

std::vector<std::unique_ptr<BackendLink>> BackendLoop::take_old_links() {
  const std::lock_guard lock(mutex_);
  if (abandoned_) link_.reset();
  return std::exchange(old_links_, {});
}

void BackendLoop::read_mail() {
  for (Mail& mail : sink_->mailbox().take()) deliver(mail);
}

void BackendLoop::fire_timers() {
  for (std::size_t i = 0; i < kTimers; ++i) {
    enter([&](BackendCore& core) {
      if (!timers_[i] || *timers_[i] > std::chrono::steady_clock::now()) return;
      timers_[i].reset();
      core.timer_fired(static_cast<Timer>(i));
    });
  }
}

// All that is there, as far as a turn goes, before a handler sees anything of it: a CANCEL may
// follow its operation.
void BackendLoop::read_socket() {
  const auto enough = std::chrono::steady_clock::now() + kReadingTurn;
  bool more = true;
  for (int frames = 0; more && frames < kFramesOfATurn && std::chrono::steady_clock::now() < enough;
       ++frames) {
    more = false;
    enter([&](BackendCore& core) {
      if (!link_) return;
      if (!link_->is_ours()) {
        disconnect();
        return core.disconnected("this process closed its descriptor");
      }
      const BackendLink::Received what = link_->receive();
      if (what.error) {
        disconnect();
        return core.disconnected(what.error.message());
      }
      if (!what.problem.empty()) return core.malformed(what.problem);
      if (!what.body) return;
      more = true;
      const std::string problem = decoder_.decode(*what.body, frame_);
      if (!problem.empty()) return core.malformed(problem);
      core.received(frame_);
    });
  }
  // What was received already makes no socket readable.
  reads_on_ = more;
}

void BackendLoop::write_socket() {
  enter([&](BackendCore& core) {
    if (!link_ || !link_->blocked() || !link_->is_ours()) return;
    link_->flush();
    if (!link_->blocked()) core.drained();
  });
}

// --- what the core asks for

std::string BackendLoop::connect() {
  if (hooks_.why_not_connect) {
    if (auto why_not = hooks_.why_not_connect(); !why_not.empty()) return why_not;
  }
  const SocketDir dir = sockets_.find();
  if (!dir.problem.empty()) return dir.problem;
  const std::string path = dir.path / kBackendSocketName;
  os::UniqueFd socket = make_socket();
  // Outside of the lock: a dead file system may hold it up.
  const std::error_code error =
      socket ? net::connect_unix(socket, path) : std::error_code(errno, std::system_category());
  if (error) return why_not_connected(error, path);
  link_ = std::make_unique<BackendLink>(std::move(socket));
  ++connection_;
  return {};
}

void BackendLoop::send(const wire::BackendFrame& frame) {
  if (!link_ || !link_->is_ours()) return;
  // A failed write ends the reading, which tells the core; a full queue needs help to do so.
  if (!link_->send(encoded(frame))) link_->say_goodbye({});
}

void BackendLoop::disconnect() {
  if (!link_) return;
  link_->say_goodbye({});
  old_links_.push_back(std::move(link_));
}

void BackendLoop::arm(Timer timer, std::chrono::milliseconds delay) {
  timers_[static_cast<std::size_t>(timer)] = std::chrono::steady_clock::now() + delay;
}

void BackendLoop::disarm(Timer timer) { timers_[static_cast<std::size_t>(timer)].reset(); }

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

bool BackendLoop::superseded() const { return hooks_.superseded && hooks_.superseded(); }

}  // namespace muster
