// Instants of a steady clock that a test makes up.
#pragma once

#include <chrono>

#include "core/types.h"

namespace muster::test {

[[nodiscard]] inline core::SteadyTime at_second(int seconds) {
  return core::SteadyTime(std::chrono::seconds(seconds));
}

}  // namespace muster::test
