// The figures for people, a line a case, and for programs.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "bench/run.h"

namespace muster::bench {

void print_head(std::ostream& out, bool with_musterd);
void print_line(std::ostream& out, const Case& line, bool with_musterd);

// {"cases": [{"peers": "one process", "n": 10, "floor": {...}, "musterd": {...}, "ratio": ...}]}
// Times and sizes have their unit in the name. A case that was left out has "skipped".
[[nodiscard]] std::string to_json(const std::vector<Case>& cases, bool with_musterd);

}  // namespace muster::bench
