// What looking for holders costs, beside the plainest walk of the same links.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/kcmp.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "bench/child.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "bench/throw_errno.h"
#include "os/holders/scan.h"
#include "os/process_setup.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Ms = std::chrono::duration<double, std::milli>;

constexpr std::size_t kManyDescriptors = 111'000;
constexpr std::size_t kProcesses = 1'000;
constexpr std::size_t kDescriptorsOfEach = 20;

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

Directory open_directory(const std::string& path) { return {::opendir(path.c_str()), &::closedir}; }

template <typename Each>
void for_each_number(DIR* directory, const Each& each) {
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') each(entry->d_name);
  }
}

// Reads the link of each descriptor of each process, and of threads with a table of their own. How
// many begin with `prefix`.
std::uint64_t walk(const std::string& prefix) {
  std::uint64_t found = 0;
  std::array<char, 4096> link{};
  const Directory proc = open_directory("/proc");
  for_each_number(proc.get(), [&](const char* process) {
    const std::string tasks_path = std::string("/proc/") + process + "/task";
    const Directory tasks = open_directory(tasks_path);
    if (!tasks) return;
    const int pid = std::atoi(process);
    for_each_number(tasks.get(), [&](const char* task) {
      const int thread = std::atoi(task);
      if (thread != pid && ::syscall(SYS_kcmp, pid, thread, KCMP_FILES, 0UL, 0UL) == 0) return;
      const Directory descriptors = open_directory(tasks_path + '/' + task + "/fd");
      if (!descriptors) return;
      for_each_number(descriptors.get(), [&](const char* number) {
        const ssize_t size =
            ::readlinkat(::dirfd(descriptors.get()), number, link.data(), link.size());
        if (size >= static_cast<ssize_t>(prefix.size()) &&
            std::memcmp(link.data(), prefix.data(), prefix.size()) == 0) {
          ++found;
        }
      });
    });
  });
  return found;
}

Ms own_cpu() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return Ms(ms(used.ru_utime) + ms(used.ru_stime));
}

struct Cost {
  double wall_ms = 0;
  double cpu_ms = 0;
};

template <typename Work>
Cost cost_of(const Work& work) {
  const Ms cpu = own_cpu();
  const auto begin = Clock::now();
  work();
  return {Ms(Clock::now() - begin).count(), (own_cpu() - cpu).count()};
}

// Children with so many descriptors of a file each, until they are destroyed.
std::vector<Child> holders_of(const std::string& file, std::size_t processes, std::size_t each) {
  std::vector<Child> children;
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) throw_errno("pipe2");
  for (std::size_t i = 0; i < processes; ++i) {
    children.push_back(Child::fork([&] {
      const int first = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
      for (std::size_t more = 1; more < each; ++more) {
        if (::dup(first) < 0) ::_exit(1);
      }
      if (::write(ready[1], "", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }));
  }
  ::close(ready[1]);
  std::size_t have = 0;
  for (char byte = 0; ::read(ready[0], &byte, 1) == 1;) {
    if (++have == processes) break;
  }
  ::close(ready[0]);
  if (have != processes) throw std::runtime_error("a process could not open its descriptors");
  return children;
}

}  // namespace

ScenarioResult holder_scan(const ScenarioOptions& options) {
  constexpr std::size_t kOtherDescriptors = 128;
  const auto limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  const TemporaryDirectory directory;
  const std::string file = directory.path() / "file";
  const std::string wanted = directory.path() / "wanted";
  std::ofstream(file) << "content";
  std::filesystem::create_directory(wanted);
  std::ofstream(wanted + "/file") << "content";

  ScenarioResult result{kHolderScan, options.subject, {}};
  {
    const std::size_t each = std::min(kManyDescriptors, limit - kOtherDescriptors);
    const auto children = holders_of(file, (kManyDescriptors + each - 1) / each, each);
    std::vector<double> wall;
    std::vector<double> cpu;
    std::vector<double> wall_ms;
    std::uint64_t descriptors = 0;
    for (std::size_t i = 0; i < 2 * options.repetitions + 1; ++i) {
      const Cost plain = cost_of([&] { static_cast<void>(walk(wanted)); });
      const Cost scan = cost_of([&] { descriptors = os::scan_holders(wanted).descriptors; });
      wall.push_back(scan.wall_ms / plain.wall_ms);
      cpu.push_back(scan.cpu_ms / plain.cpu_ms);
      wall_ms.push_back(scan.wall_ms);
    }
    result.measurements.push_back({"descriptors", static_cast<double>(descriptors)});
    result.measurements.push_back({"many_descriptors_ms", median(wall_ms)});
    result.measurements.push_back({"to_plain_walk_wall_ratio", median(wall)});
    result.measurements.push_back({kScanRatio, median(cpu)});
  }
  const auto children = holders_of(file, kProcesses, kDescriptorsOfEach);
  std::vector<double> wall;
  std::vector<double> cpu;
  for (std::size_t i = 0; i < 2 * options.repetitions + 1; ++i) {
    const Cost scan = cost_of([&] { static_cast<void>(os::scan_holders(wanted)); });
    wall.push_back(scan.wall_ms);
    cpu.push_back(scan.cpu_ms);
  }
  result.measurements.push_back({kScanMs, median(wall)});
  result.measurements.push_back({"many_processes_cpu_ms", median(cpu)});
  return result;
}

}  // namespace muster::bench
