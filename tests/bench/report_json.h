// The results for programs.
#pragma once

#include <string>
#include <vector>

#include "bench/aims.h"
#include "bench/results.h"

namespace muster::bench {

// Changes when a member changes its meaning or goes; new ones may come.
inline constexpr char kJsonSchema[] = "muster-bench/1";

// Times, sizes and rates have their unit in the name.
[[nodiscard]] std::string to_json(const Results& results, const std::vector<Aim>& aims);

}  // namespace muster::bench
