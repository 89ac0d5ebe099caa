// Who has files in use, for an operator: a table with what would end each row, and one sentence
// that is the answer. Pure.
#pragma once

#include <string>

#include "muster/holders.h"

#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

struct HoldersStyle {
  Paint paint;
  UserName user = user_names_of_system();
};

[[nodiscard]] std::string show_holders(const HolderScan& scan, const HoldersStyle& style);

// What would end that holder: a command where there is one, else a few words. Never run by anybody
// but the operator.
[[nodiscard]] std::string what_ends(const Holder& holder, const std::string& path);

}  // namespace muster::ctl
