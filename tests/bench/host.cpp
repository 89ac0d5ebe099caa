#include <ctime>
#include <fstream>
#include <sched.h>
#include <sys/utsname.h>

#include "bench/results.h"
#include "os/process_setup.h"

namespace muster::bench {
namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  }
  return {};
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace

Host look_at_host() {
  Host host;
  host.date = utc_now();
  utsname name{};
  uname(&name);
  host.kernel = name.release;
  host.machine = name.machine;
  host.cpu = cpu_model();
  cpu_set_t cores{};
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    host.cores = static_cast<std::size_t>(CPU_COUNT(&cores));
  }
  std::ifstream("/proc/loadavg") >> host.load;
  host.descriptor_limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  return host;
}

}  // namespace muster::bench
