#include "os/descriptor_limit.h"

#include <cerrno>
#include <filesystem>
#include <limits>
#include <sys/resource.h>

namespace muster::os {

std::uint64_t descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::uint64_t>::max();
  return limit.rlim_cur;
}

std::uint64_t count_open_descriptors() {
  std::error_code error;
  std::uint64_t count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++count;
  }
  return count == 0 ? 0 : count - 1;  // that of the directory itself
}

DescriptorLimit raise_descriptor_limit() noexcept {
  DescriptorLimit result;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    result.error = {errno, std::generic_category()};
    return result;
  }
  result.now = result.before = limit.rlim_cur;
  if (limit.rlim_cur == limit.rlim_max) return result;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    result.error = {errno, std::generic_category()};
    return result;
  }
  result.now = limit.rlim_cur;
  return result;
}

}  // namespace muster::os
