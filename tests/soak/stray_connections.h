// Connections of nobody: garbage, halves of frames, silence, on both sockets. A few at a time; the
// broker must not care.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>

#include "os/unique_fd.h"
#include "simulator/rng.h"

namespace muster::soak {

class StrayConnections {
 public:
  static constexpr std::size_t kMost = 16;

  explicit StrayConnections(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // One more, or another one of them leaves first.
  void visit(simulator::Rng& rng);
  void leave() { connections_.clear(); }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  std::filesystem::path directory_;
  std::deque<os::UniqueFd> connections_;
  std::uint64_t count_ = 0;
};

}  // namespace muster::soak
