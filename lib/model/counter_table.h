// What a broker counts, a row each. The wire, JSON and `musterctl status` read it here.
//
// A new counter: its field in v1.Counters, its member in Counters, its row.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "muster/broker_view.h"

namespace muster {

struct CounterRow {
  std::string_view name;  // on the wire and in JSON: "late_answers"
  int field = 0;          // its number in v1.Counters
  std::uint64_t Counters::*value = nullptr;
  std::string_view unit;   // what is counted: "answers"
  std::string_view line;   // of `musterctl status`: "late answers"
  std::string_view words;  // there, behind the number: "late"
  bool is_noun = false;    // `words` gets an "s" where there is not one of them
  std::string_view help;   // a sentence
};

// In the order of their fields.
[[nodiscard]] std::span<const CounterRow> all_counters() noexcept;

}  // namespace muster
