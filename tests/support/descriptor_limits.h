// Descriptors that run out, for as long as one of these lives.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "os/unique_fd.h"
#include "support/open_descriptors.h"

namespace muster::test {

// The most descriptors that this process may open.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(long limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = static_cast<rlim_t>(limit);
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

// There is not one more: whatever this process had when it was made, and nothing else.
class NoDescriptors {
 public:
  NoDescriptors() : limit_(open_descriptors()) {
    do {
      rest_.emplace_back(
          ::open("/dev/null", O_RDONLY | O_CLOEXEC));  // where numbers are free below the limit
    } while (rest_.back());
  }

 private:
  DescriptorLimit limit_;
  std::vector<os::UniqueFd> rest_;
};

}  // namespace muster::test
