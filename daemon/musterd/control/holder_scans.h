// Looks who has files in use, for operators who ask the broker and for broadcasts that are
// verified: by muster-scan, which may look into every process; where it is not installed with the
// broker's own rights, and then the answer says what could not be seen.
//
// One scan at a time, on a thread of its own, so that neither the loop nor what is written to disk
// waits for one. Users take turns, so that one who asks for many delays another's by one scan; of
// one user what broadcasts wait for comes first. The loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include <asio/any_io_executor.hpp>

#include "muster/holders.h"

#include "os/holders/family.h"
#include "wire/holders.h"

namespace muster::daemon {

struct WantedScan {
  enum class For : std::uint8_t { kBroadcast, kOperator };

  uid_t user = 0;  // who has it on its account
  For who = For::kOperator;
  wire::ScanRequest request;
  // It and its descendants are no holders: those of its children that started after
  // `children_after`, as os::family_of() has it.
  std::optional<os::ProcessStart> without = std::nullopt;
  std::optional<std::uint64_t> children_after = std::nullopt;
};

class HolderScans {
 public:
  using Done = std::function<void(HolderScan)>;

  // That wait or run, for operators: of everybody, and of one user.
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kMostOfUser = 2;
  // The same for broadcasts. One has one at a time.
  static constexpr std::size_t kMostForBroadcasts = 256;
  static constexpr std::size_t kMostForBroadcastsOfUser = 64;
  // Rows of a scan for a broadcast, whose report keeps them.
  static constexpr std::size_t kMostRowsForBroadcast = 256;

  // `socket`: where muster-scan is asked.
  HolderScans(const asio::any_io_executor& loop, std::filesystem::path socket);
  ~HolderScans();
  HolderScans(const HolderScans&) = delete;
  HolderScans& operator=(const HolderScans&) = delete;

  // Calls `done` later, on the loop; not after the destruction. False: too many wait.
  [[nodiscard]] bool scan(WantedScan wanted, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// One scan; blocks. `patience`: for muster-scan to take the question, and to answer.
[[nodiscard]] HolderScan scan_with_rights(const std::filesystem::path& socket,
                                          const wire::ScanRequest& request,
                                          std::chrono::milliseconds patience);
// The same, as it is wanted.
[[nodiscard]] HolderScan scan_as_wanted(const std::filesystem::path& socket,
                                        const WantedScan& wanted,
                                        std::chrono::milliseconds patience);
// A scan that could not be made: `problem` is a sentence.
[[nodiscard]] HolderScan failed_scan(std::string path, std::string problem);

}  // namespace muster::daemon
