// Says which seed was running when the process dies of a signal or a sanitizer's finding: those
// leave no time to make a script short.
#pragma once

#include <cstdint>

namespace muster::simulator {

// The seed that is named from now on; the first call installs the handlers.
void remember_seed(std::uint64_t seed);

}  // namespace muster::simulator
