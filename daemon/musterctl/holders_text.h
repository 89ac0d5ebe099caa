// Who has files in use, for an operator: a table with what would end each row, and one sentence
// that is the answer. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "muster/holders.h"

#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

struct HoldersStyle {
  Paint paint;
  UserName user = user_names_of_system();
};

[[nodiscard]] std::string show_holders(const HolderScan& scan, const HoldersStyle& style);

// The parts of show_holders(), for reports that end with a sentence of their own.
// The table of holders, and a line for what was not seen.
[[nodiscard]] std::string show_holder_rows(const HolderScan& scan, const HoldersStyle& style);
// "187 of 187 files proven", then what is missing; empty when no file was asked for. `proven`: how
// one is called that nobody else has open.
[[nodiscard]] std::string shown_leases(const LeaseResult& leases, std::string_view proven);
// How many have files in use for sure; the unknown one that keeps a file open counts as one.
[[nodiscard]] std::uint64_t sure_holders(const HolderScan& scan);

// What would end that holder: a command where there is one, else a few words. Never run by anybody
// but the operator.
[[nodiscard]] std::string what_ends(const Holder& holder, const std::string& path);

}  // namespace muster::ctl
