// Holds for an operator: how one stands, who took files in use against it, all of them as a table.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "muster/broker_view.h"

#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

struct HoldStyle {
  Paint paint;
  UserName user = user_names_of_system();
  std::uint64_t now_unix_ms = 0;
};

// "hold 17 goes on since 14:02:11, until 14:12:11": no sentence's end, no newline.
[[nodiscard]] std::string shown_hold(HoldId id, const HoldState& state, std::uint64_t now_unix_ms);
// Who took files below `path` in use: a sentence, and the table of holders with what would end
// each. Empty when nobody did.
[[nodiscard]] std::string show_violations(HoldId id, const HoldState& state,
                                          const std::string& path, const HoldStyle& style);
// One, with everything that is known of it.
[[nodiscard]] std::string show_hold(const HoldInfo& hold, const HoldStyle& style);
// One line for each hold; one sentence when there is none.
[[nodiscard]] std::string show_holds(const std::vector<HoldInfo>& holds, const HoldStyle& style);

}  // namespace muster::ctl
