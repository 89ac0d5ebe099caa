// Numbers as people read them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::bench {

[[nodiscard]] __attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...);

// Three significant digits, whatever the size.
[[nodiscard]] std::string three_digits(double value);
// 12.3k; "-" where there is none.
[[nodiscard]] std::string thousands(double value);
// 10,000
[[nodiscard]] std::string grouped(std::size_t number);

// "lateness_worst_ms", 1.5: lateness worst 1.50 ms
[[nodiscard]] std::string figure(std::string_view name, double value);

}  // namespace muster::bench
