// From nothing to ready, the shortest conversation with it, and how large the program is.
#include <array>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>

#include "bench/child.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kStartsEach = 7;  // in each repetition
constexpr std::size_t kPingsEach = 10;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void wait_for_ready(int notify_socket) {
  std::array<char, 4096> message{};
  for (;;) {
    const ssize_t size = ::recv(notify_socket, message.data(), message.size(), 0);
    if (size <= 0) throw std::runtime_error("musterd did not say that it is ready");
    const std::string_view text(message.data(), static_cast<std::size_t>(size));
    if (text.starts_with("READY=1") || text.find("\nREADY=1") != std::string_view::npos) return;
  }
}

double exec_to_ready_ms(const MusterdCommand& command) {
  const TemporaryDirectory directory;
  const std::filesystem::path notify = directory.path() / "notify.sock";
  const os::UniqueFd socket = datagram_socket_at(notify);
  const timeval patience{5, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::vector<std::string> words{command.program, "--socket-dir", directory.path()};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  const Child musterd =
      Child::run(words, directory.path() / "log", {"NOTIFY_SOCKET=" + notify.native()});
  wait_for_ready(socket.get());
  return milliseconds_since(musterd.executed());
}

double ping_ms(const std::filesystem::path& musterctl, const std::filesystem::path& directory) {
  Child child = Child::run({musterctl, "--socket-dir", directory, "ping"}, directory / "ping.log");
  if (!child.wait()) throw std::runtime_error("musterctl ping: " + text_of(directory / "ping.log"));
  return milliseconds_since(child.executed());
}

double stripped_mb(const std::filesystem::path& program) {
  const TemporaryDirectory directory;
  const std::filesystem::path stripped = directory.path() / "stripped";
  const std::filesystem::path log = directory.path() / "log";
  if (!Child::run({"/usr/bin/strip", "-s", "-o", stripped, program}, log).wait()) {
    throw std::runtime_error("strip: " + text_of(log));
  }
  return static_cast<double>(std::filesystem::file_size(stripped)) / 1e6;
}

}  // namespace

ScenarioResult start(const ScenarioOptions& options) {
  std::vector<double> ready;
  for (std::size_t i = 0; i < kStartsEach * options.repetitions; ++i) {
    ready.push_back(exec_to_ready_ms(options.command));
  }
  const TemporaryDirectory directory;
  const MusterdProcess musterd(options.command, directory.path());
  const std::filesystem::path musterctl = options.command.program.parent_path() / "musterctl";
  std::vector<double> ping;
  for (std::size_t i = 0; i < kPingsEach * options.repetitions; ++i) {
    ping.push_back(ping_ms(musterctl, directory.path()));
  }
  return {kStart,
          options.subject,
          {{kReadyMs, median(ready)},
           {kPingMs, median(ping)},
           {kStrippedMb, stripped_mb(options.command.program)}}};
}

}  // namespace muster::bench
