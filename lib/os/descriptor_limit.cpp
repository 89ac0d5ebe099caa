#include "os/descriptor_limit.h"

#include <cerrno>
#include <sys/resource.h>

namespace muster::os {

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
