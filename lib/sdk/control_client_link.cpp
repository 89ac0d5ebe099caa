#include "sdk/control_client_link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "muster/control.h"
#include "muster/path.h"
#include "muster/socket_dir.h"

#include "os/error_text.h"
#include "wire/framing.h"

namespace muster {
namespace {

constexpr std::size_t kReadAtOnce = 64 * 1024;
constexpr std::size_t kMostAtOnce = 256 * 1024;  // of a long report; about what a socket buffers

// Waits for `events`. False when the time is over or a signal came.
bool wait_for(int socket, short events, ControlLink::Clock::time_point until) {
  int timeout = -1;
  if (until != ControlLink::Clock::time_point::max()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - ControlLink::Clock::now());
    timeout =
        static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 86'400'000));
  }
  pollfd entry{socket, events, 0};
  return ::poll(&entry, 1, timeout) > 0;
}

std::string socket_path(const std::filesystem::path& given) {
  SocketDir dir = find_socket_dir(given);
  if (!dir.problem.empty()) {
    throw ControlFailure(ControlFailure::Kind::kUnreachable, {{}, std::move(dir.problem)});
  }
  return (dir.path / kControlSocketName).native();
}

}  // namespace

ControlLink::ControlLink(const std::filesystem::path& socket_dir,
                         std::chrono::milliseconds patience) {
  const std::string path = socket_path(socket_dir);
  name_ = escape_bytes(path);
  socket_ = connect_to_broker(path, patience);
}

ControlLink::~ControlLink() {
  if (socket_ >= 0) ::close(socket_);
}

pid_t ControlLink::broker_pid() const noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

std::optional<uid_t> ControlLink::broker_uid() const noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket_, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.uid;
}

bool ControlLink::send(std::string_view frame, Clock::time_point until) {
  while (!frame.empty()) {
    const ssize_t sent = ::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      frame.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(socket_, POLLOUT, until) && Clock::now() >= until) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

ControlLink::Received ControlLink::receive(std::optional<wire::ControlAnswerFrame>& out,
                                           Clock::time_point until) {
  for (;;) {
    if (take_buffered(out)) return Received::kFrame;
    if (ended_) return Received::kEnded;
    if (read_some() || ended_) continue;
    if (!wait_for(socket_, POLLIN, until)) return Received::kNothing;
  }
}

bool ControlLink::take_buffered(std::optional<wire::ControlAnswerFrame>& out) {
  const std::string_view rest = std::string_view(input_).substr(taken_);
  if (rest.empty() || rest.size() < wanted_) return false;
  const wire::FrameView frame = wire::next_frame(rest, wire::kMaxControlBody);
  if (frame.status == wire::FrameView::Status::kBad) {
    end("sent something that is not Muster's protocol (" + frame.problem + ")");
    return false;
  }
  if (frame.status == wire::FrameView::Status::kIncomplete) {
    wanted_ = frame.bytes;
    return false;
  }
  out.reset();
  const std::string problem = decoder_.decode(frame.body, out);
  taken_ += frame.bytes;
  wanted_ = 0;
  if (!problem.empty() || !out) {
    end("sent something that is not Muster's protocol (" + problem + ")");
    return false;
  }
  return true;
}

bool ControlLink::read_some() {
  if (taken_ > 0) {
    input_.erase(0, taken_);
    taken_ = 0;
  }
  const std::size_t had = input_.size();
  const std::size_t missing = wanted_ > had ? wanted_ - had : 0;
  const std::size_t room = std::clamp(missing, kReadAtOnce, kMostAtOnce);
  input_.reserve(had + std::max(room, missing));
  input_.resize(had + room);
  const ssize_t got = ::recv(socket_, input_.data() + had, room, 0);
  const int error = got < 0 ? errno : 0;
  input_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got > 0) return true;
  if (got == 0 || error == ECONNRESET || error == EPIPE) {
    end("closed the connection");
  } else if (error != EAGAIN && error != EINTR) {
    end("cannot be read from (" + os::error_text(error) + ")");
  }
  return false;
}

void ControlLink::end(std::string why) {
  ended_ = true;
  if (why_.empty()) why_ = std::move(why);
  // What a broken stream still holds means nothing.
  input_.clear();
  taken_ = 0;
}

namespace {

constexpr char kOtherDirectory[] = "or name the broker's directory with --socket-dir";

// What connect(2) would not tell apart: it says ECONNREFUSED of a plain file, too.
bool is_something_else(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode);
}

std::string explain(int error, const std::string& path) {
  const std::string name = escape_bytes(path);
  switch (error) {
    case ENOENT:
      return "no broker listens at " + name +
             ": start musterd, or name its directory with --socket-dir";
    case ECONNREFUSED:
      if (is_something_else(path)) {
        return name + " is not a socket: remove what is there and start musterd, " +
               kOtherDirectory;
      }
      return "no broker listens at " + name +
             " any more (its socket is left over): start musterd, " + kOtherDirectory;
    case ENOTDIR:
      return "the directory of " + name +
             " is not a directory: name the broker's with --socket-dir";
    case EACCES:
    case EPERM:
      return "no permission to connect to " + name +
             ": run as root or as a user whom the broker's policy allows, " + kOtherDirectory;
    case EPROTOTYPE:
      return name + " is not a stream socket, so no broker's: remove it and start musterd, " +
             kOtherDirectory;
    case EAGAIN:
    case EINPROGRESS:
      return "the broker at " + name +
             " does not accept connections: it hangs, is stopped or has too many waiting";
    default:
      return "cannot connect to " + name + ": " + os::error_text(error);
  }
}

[[noreturn]] void give_up(int error, const std::string& path) {
  throw ControlFailure(ControlFailure::Kind::kUnreachable, {{}, explain(error, path)}, error);
}

}  // namespace

int connect_to_broker(const std::string& path, std::chrono::milliseconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) give_up(ENAMETOOLONG, path);
  std::memcpy(address.sun_path, path.data(), path.size());

  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) give_up(errno, path);

  // A blocking connect() to a full backlog honours the send timeout; poll() could not wait for it.
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  timeval limit{};
  limit.tv_sec = seconds.count();
  limit.tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(patience - seconds).count();
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);

  int result = 0;
  do {
    result = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  if (result != 0 || ::fcntl(socket, F_SETFL, O_NONBLOCK) != 0) {
    const int error = errno;
    ::close(socket);
    give_up(error, path);
  }
  return socket;
}

}  // namespace muster
