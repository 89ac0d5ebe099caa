// The results for people.
#pragma once

#include <iosfwd>
#include <vector>

#include "bench/aims.h"
#include "bench/results.h"

namespace muster::bench {

[[nodiscard]] const char* name_of(Mode mode) noexcept;

void print_host(std::ostream& out, const Results& results);
void print_head(std::ostream& out);
void print_row(std::ostream& out, const Row& row);
void print_growth(std::ostream& out, const std::vector<Growth>& all);
void print_scenario(std::ostream& out, const ScenarioResult& result);
void print_aims(std::ostream& out, const std::vector<Aim>& aims);

}  // namespace muster::bench
