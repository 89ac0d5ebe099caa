#include "bench/measure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <time.h>
#include <unistd.h>

#include "os/unique_fd.h"

namespace muster::bench {

std::chrono::nanoseconds cpu_time(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  int error = clock_getcpuclockid(pid, &clock);
  if (error == 0 && clock_gettime(clock, &time) != 0) error = errno;
  if (error != 0) throw std::system_error(error, std::generic_category(), "CPU clock");
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::size_t own_bytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::size_t kib = 0;
  bool is_there = false;
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("RssAnon:") && !line.starts_with("RssShmem:")) continue;
    kib += std::stoull(line.substr(line.find(':') + 1));
    is_there = true;
  }
  if (!is_there) throw std::runtime_error("the server is gone");
  return kib * 1024;
}

void wait_until_idle(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const os::UniqueFd stat(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::array<char, 256> text{};
  while (std::chrono::steady_clock::now() < patience) {
    const ssize_t size = ::pread(stat.get(), text.data(), text.size(), 0);
    if (size <= 0) throw std::runtime_error("the server is gone");
    // "4711 (musterd) S 1 ...": the state stands behind the name's last parenthesis.
    const std::string_view line(text.data(), static_cast<std::size_t>(size));
    const std::size_t name_end = line.rfind(')');
    if (name_end + 2 < line.size() && line[name_end + 2] == 'S') return;
    ::sched_yield();
  }
  throw std::runtime_error("the server does not come to rest");
}

std::uint64_t context_switches(pid_t pid) {
  std::uint64_t sum = 0;
  std::size_t counters = 0;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      // "voluntary_ctxt_switches:\t150", and nonvoluntary_
      const std::size_t name = line.find("voluntary_ctxt_switches:");
      if (name == std::string::npos) continue;
      sum += std::stoull(line.substr(line.find(':') + 1));
      ++counters;
    }
  }
  if (counters < 2) throw std::runtime_error("the server is gone");
  return sum;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const double position = std::ceil(share * static_cast<double>(values.size()));
  const std::size_t index = position < 1 ? 0 : static_cast<std::size_t>(position) - 1;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t half = values.size() / 2;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace muster::bench
