// The history as tables for an operator. Pure.
#pragma once

#include <string>

#include "muster/history.h"

#include "musterctl/view_text.h"

namespace muster::ctl {

// "3 of 3 acked", "interrupted: 1 of 3 acked", "running".
[[nodiscard]] std::string history_outcome(const HistoryEntry& entry);
// `style.selective`: only some entries were asked for.
[[nodiscard]] std::string show_history(const HistoryPage& page, const ViewStyle& style);
[[nodiscard]] std::string show_refusals(const HistoryPage& page, const ViewStyle& style);

}  // namespace muster::ctl
