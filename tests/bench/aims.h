// What the figures should be, and whether they are. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/results.h"

namespace muster::bench {

enum class Verdict : std::uint8_t { kOk, kMissed, kNotMeasured };

struct Aim {
  std::string what;
  std::string subject;
  std::optional<double> measured;
  double bound = 0;
  std::string unit;
  bool at_least = false;  // else at most
  std::string note;       // what helps to judge it

  [[nodiscard]] Verdict verdict() const noexcept;
  [[nodiscard]] std::string bound_text() const;  // "<= 1.25"
};

// All aims, for each musterd among the subjects. What was not measured is among them.
[[nodiscard]] std::vector<Aim> judge(const Results& results);

[[nodiscard]] const char* name_of(Verdict verdict) noexcept;

}  // namespace muster::bench
