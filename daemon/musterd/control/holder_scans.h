// Looks who has files in use, for operators who ask the broker: by muster-scan, which may look into
// every process; where it is not installed with the broker's own rights, and then the answer says
// what could not be seen.
//
// One scan at a time, on a thread of its own, so that neither the loop nor what is written to disk
// waits for one. The loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>

#include <asio/any_io_executor.hpp>

#include "muster/holders.h"

#include "musterd/runtime/worker.h"
#include "wire/holders.h"

namespace muster::daemon {

class HolderScans {
 public:
  using Done = std::function<void(HolderScan)>;

  // That wait or run: of everybody, and of one user.
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kMostOfUser = 2;

  // `socket`: where muster-scan is asked.
  HolderScans(const asio::any_io_executor& loop, std::filesystem::path socket);

  // Calls `done` later, on the loop; not after the destruction. False: too many wait.
  [[nodiscard]] bool scan(uid_t user, wire::ScanRequest request, Done done);

 private:
  struct Counts {
    std::map<uid_t, std::size_t> of_users;
    std::size_t all = 0;
  };

  const std::filesystem::path socket_;
  const std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
  Worker worker_;
};

// One scan; blocks. `patience`: for muster-scan to take the question, and to answer.
[[nodiscard]] HolderScan scan_with_rights(const std::filesystem::path& socket,
                                          const wire::ScanRequest& request,
                                          std::chrono::milliseconds patience);

}  // namespace muster::daemon
