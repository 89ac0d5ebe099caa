#include "bench/measure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fcntl.h>
#include <fstream>
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

std::size_t resident_bytes(pid_t pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  if (!(statm >> total >> resident)) throw std::runtime_error("the server is gone");
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void wait_until_idle(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const os::UniqueFd stat(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::array<char, 256> text;
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

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const double position = std::ceil(share * static_cast<double>(values.size()));
  const std::size_t index = position < 1 ? 0 : static_cast<std::size_t>(position) - 1;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(values.begin(), at, values.end());
  return *at;
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
