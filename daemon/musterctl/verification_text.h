// What the kernel says of a release, for an operator: who acked and still has files in use, and the
// one sentence that is the answer. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "muster/report.h"

#include "musterctl/text.h"

namespace muster::ctl {

// A backend that acked, and whose process has files in use all the same.
struct StillHolding {
  const BackendOutcome* backend = nullptr;  // of the report
  std::uint64_t files = 0;
  bool possibly = false;  // it is not known of any whether it is below the path
};
// In the order of the report.
[[nodiscard]] std::vector<StillHolding> still_holding(const BroadcastReport& report);
// "acked, still holds 3 files"
[[nodiscard]] std::string shown_still(const StillHolding& holding);

// "Released: 4 of 4 acked, nobody holds a file below /var/cache/x (187 of 187 files proven)."
// REQUIRES: the report is of a release, is over, and a verification was asked for.
[[nodiscard]] std::string answer_of_release(const BroadcastReport& report, const Paint& paint);

// "4 of 4 acked", also where backends are missing in the report.
[[nodiscard]] std::string acked_clause(const BroadcastReport& report);

}  // namespace muster::ctl
