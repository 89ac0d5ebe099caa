// The floor as a subject: a child of the bench with a socket pair for control.
#include <array>
#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>

#include "bench/child.h"
#include "bench/floor_server.h"
#include "bench/subject.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

class FloorSubject final : public Subject {
 public:
  explicit FloorSubject(const std::filesystem::path& directory)
      : socket_(directory / "backend.sock") {
    const os::UniqueFd listener = listen_at(socket_);
    ::fcntl(listener.get(), F_SETFL, O_NONBLOCK);
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    control_.reset(ends[0]);
    os::UniqueFd other_end(ends[1]);
    child_ = Child::fork([&] {
      control_.reset();
      run_floor_server(listener.get(), other_end.get());
    });
  }

  pid_t pid() const override { return child_.pid(); }
  std::filesystem::path socket() const override { return socket_; }
  void start_round() override { ask(kFloorStart); }
  void take_acceptance() override {
    std::array<char, kFloorAnswerBytes> answer;
    receive_all(control_.get(), answer.data(), answer.size());
  }

  std::vector<double> take_times(std::size_t) override {
    ask(kFloorTimes);
    std::uint64_t count = 0;
    receive_all(control_.get(), reinterpret_cast<char*>(&count), sizeof(count));
    std::vector<std::int64_t> times(count);
    receive_all(control_.get(), reinterpret_cast<char*>(times.data()),
                times.size() * sizeof(times[0]));
    std::vector<double> milliseconds;
    for (const std::int64_t time : times) milliseconds.push_back(static_cast<double>(time) / 1e6);
    return milliseconds;
  }

  double operator_round(std::size_t) override {
    const auto start = std::chrono::steady_clock::now();
    ask(kFloorFinish);
    take_acceptance();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

 private:
  void ask(char what) {
    std::array<char, kFloorRequestBytes> request{};
    request[0] = what;
    send_all(control_.get(), {request.data(), request.size()});
  }

  std::filesystem::path socket_;
  os::UniqueFd control_;
  Child child_;
};

}  // namespace

std::unique_ptr<Subject> start_floor(const std::filesystem::path& directory) {
  return std::make_unique<FloorSubject>(directory);
}

}  // namespace muster::bench
