// What a test must leave as it found it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>

namespace muster::test {

// How many descriptors this process has open.
[[nodiscard]] inline long open_descriptors() {
  // The iterator's own descriptor is among those that it counts.
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator()) -
         1;
}

}  // namespace muster::test
