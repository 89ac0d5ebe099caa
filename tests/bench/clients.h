// The lean clients: N that register and answer everything they are asked, in one process or each
// in a process of its own. They poll before they read, and read what is there at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <vector>

#include "bench/child.h"
#include "bench/client_protocol.h"
#include "bench/round_board.h"

namespace muster::bench {

enum class Mode { kOneProcess, kProcessEach };

class Clients {
 public:
  // Returns when all are registered. Throws std::runtime_error when they are not.
  Clients(const std::filesystem::path& socket, std::unique_ptr<ClientProtocol> protocol, Mode mode,
          std::size_t count);

  [[nodiscard]] RoundBoard& board() noexcept { return board_; }
  // From the first connect to the last registration's answer; only kOneProcess.
  [[nodiscard]] std::chrono::nanoseconds registration_time() const {
    return board_.registration_time();
  }

 private:
  RoundBoard board_;
  std::vector<Child> children_;
};

}  // namespace muster::bench
