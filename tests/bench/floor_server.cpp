#include "bench/floor_server.h"

#include <array>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/frames.h"
#include "bench/round_server.h"

namespace muster::bench {
namespace {

constexpr std::size_t kMaxDescriptors = 65'536;
constexpr std::size_t kMaxRounds = 65'536;

// All state is static: the floor allocates nothing, and idle connections cost four bytes.
std::array<int, kMaxDescriptors> connections;
std::array<bool, kMaxDescriptors> is_registered;  // by descriptor
std::array<std::int64_t, kMaxRounds> round_times;
std::array<epoll_event, 512> events;
std::array<char, 4096> buffer;
std::size_t connection_count = 0;
std::size_t round_count = 0;
std::size_t answers = 0;
int epoll_set = -1;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll_set, EPOLL_CTL_ADD, fd, &event);
}

void accept_all(int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || fd >= static_cast<int>(kMaxDescriptors)) return;
    is_registered[static_cast<std::size_t>(fd)] = false;
    watch(fd);
  }
}

void read_from(int fd, const std::string& registered) {
  const ssize_t count = recv(fd, buffer.data(), buffer.size(), 0);
  if (count <= 0) {
    close(fd);  // leaves the epoll set by that; the bench ends a run before it matters
  } else if (is_registered[static_cast<std::size_t>(fd)]) {
    ++answers;
  } else {
    is_registered[static_cast<std::size_t>(fd)] = true;
    connections[connection_count++] = fd;
    send(fd, registered.data(), registered.size(), MSG_NOSIGNAL);
  }
}

// One turn; false when `control` is among what is ready.
bool turn(int listener, int control, const std::string& registered) {
  bool asked = false;
  const int count = epoll_wait(epoll_set, events.data(), static_cast<int>(events.size()), -1);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == control) {
      asked = true;
    } else if (fd == listener) {
      accept_all(listener);
    } else {
      read_from(fd, registered);
    }
  }
  return !asked;
}

}  // namespace

void run_floor_server(int listener, int control) {
  const std::string operation = sample_operation_frame();
  const std::string registered = sample_registered_frame();
  const AnswerRecord answer;
  epoll_set = epoll_create1(EPOLL_CLOEXEC);
  watch(listener);
  watch(control);

  for (;;) {
    if (turn(listener, control, registered)) continue;
    AskRecord ask;
    if (recv(control, &ask, sizeof(ask), 0) <= 0) return;
    if (ask.what == Ask::kTimes) {
      const TimesHead head{round_count, 0};
      send(control, &head, sizeof(head), MSG_NOSIGNAL);
      send(control, round_times.data(), round_count * sizeof(round_times[0]), MSG_NOSIGNAL);
      round_count = 0;
      continue;
    }

    const std::int64_t start = now_ns();
    if (ask.what == Ask::kStart) send(control, &answer, sizeof(answer), MSG_NOSIGNAL);
    answers = 0;
    for (std::size_t i = 0; i < connection_count; ++i) {
      send(connections[i], operation.data(), operation.size(), MSG_NOSIGNAL);
    }
    // A request that is here already waits.
    while (answers < connection_count) turn(listener, control, registered);
    round_times[round_count++ % kMaxRounds] = now_ns() - start;
    if (ask.what == Ask::kFinish) send(control, &answer, sizeof(answer), MSG_NOSIGNAL);
  }
}

}  // namespace muster::bench
