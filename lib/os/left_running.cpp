#include "os/left_running.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "os/error_text.h"
#include "os/peer.h"
#include "os/unique_fd.h"
#include "os/whereabouts.h"

namespace muster::os {
namespace {

// A line each: the head with the boot and the namespaces; "PID START NAME" of each process; the
// last, "end UNNAMED", says that the file is whole.
constexpr std::string_view kLeftHead = "muster left-running 1 ";
constexpr std::string_view kLeftEnd = "end ";
constexpr std::size_t kMostLeftBytes = 64 * 1024;
constexpr std::size_t kRoomForEnd = 32;

// Takes it off the front, with the blank or the end of the line behind it.
std::optional<std::uint64_t> take_number(std::string_view& line) {
  std::uint64_t number = 0;
  const auto [at, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc()) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(at - line.data()));
  if (line.empty()) return number;
  if (line.front() != ' ') return std::nullopt;
  line.remove_prefix(1);
  return number;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::optional<Whereabouts> read_head(std::string_view line) {
  if (!line.starts_with(kLeftHead)) return std::nullopt;
  line.remove_prefix(kLeftHead.size());
  Whereabouts then;
  then.boot_id = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), then.boot_id.size() + 1));
  const auto pid = take_number(line);
  const auto time = take_number(line);
  if (!pid || !time || !line.empty()) return std::nullopt;
  then.namespaces = {*pid, *time};
  return then;
}

std::optional<LeftProcess> read_process(std::string_view line) {
  LeftProcess process;
  const auto pid = take_number(line);
  const auto start = take_number(line);
  constexpr std::uint64_t kMostPid = 1U << 30U;
  if (!pid || !start || *pid > kMostPid) return std::nullopt;
  process.pid = static_cast<pid_t>(*pid);
  process.start_ticks = *start;
  process.name = line;
  return process;
}

bool runs(const LeftProcess& process) {
  if (process.pid == 0) return true;
  if (::kill(process.pid, 0) != 0 && errno == ESRCH) return false;
  const auto started = start_time(process.pid);
  return !started || process.start_ticks == 0 || *started == process.start_ticks;
}

LeftRunning with_problem(std::string why) {
  LeftRunning left;
  left.problem = std::move(why);
  return left;
}

LeftRunning decode(std::string_view text) {
  LeftRunning left;
  const auto then = read_head(take_line(text));
  if (!then) return with_problem("is damaged, or of another version");
  const Whereabouts here = current_whereabouts();
  const bool is_unseen = is_elsewhere(then->namespaces, here.namespaces);
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (line.starts_with(kLeftEnd)) {
      line.remove_prefix(kLeftEnd.size());
      const auto unnamed = take_number(line);
      if (!unnamed || !line.empty() || !text.empty()) break;
      if (!may_outlive(*then, here)) return {};
      left.unnamed = *unnamed;
      return left;
    }
    auto process = read_process(line);
    if (!process) break;
    if (is_unseen || runs(*process)) left.processes.push_back(*std::move(process));
  }
  return with_problem("is damaged, or of another version");
}

}  // namespace

std::string encode_left_running(const std::vector<LeftProcess>& processes) {
  const Whereabouts here = current_whereabouts();
  std::string text(kLeftHead);
  text += here.boot_id + ' ' + std::to_string(here.namespaces.pid) + ' ' +
          std::to_string(here.namespaces.time) + '\n';
  std::size_t named = 0;
  for (const LeftProcess& process : processes) {
    const std::string line = std::to_string(process.pid) + ' ' +
                             std::to_string(process.start_ticks) + ' ' + process.name + '\n';
    if (text.size() + line.size() + kRoomForEnd > kMostLeftBytes) break;
    text += line;
    ++named;
  }
  text.append(kLeftEnd).append(std::to_string(processes.size() - named));
  return text += '\n';
}

LeftRunning read_left_running(const std::filesystem::path& directory) {
  constexpr int kNoDetours = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const UniqueFd place(::open(directory.c_str(), kNoDetours | O_DIRECTORY));
  const UniqueFd file(place ? ::openat(place.get(), kLeftRunningName, kNoDetours) : -1);
  if (!file) {
    if (errno == ENOENT) return {};
    return with_problem("cannot be read: " + error_text(errno));
  }
  struct stat found {};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return with_problem("is not a file");
  }
  std::string text(kMostLeftBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno != EINTR) return with_problem("cannot be read: " + error_text(errno));
    if (got == 0) break;
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  if (size > kMostLeftBytes) return with_problem("is larger than any that a broker writes");
  text.resize(size);
  return decode(text);
}

}  // namespace muster::os
