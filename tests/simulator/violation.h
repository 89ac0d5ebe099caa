// What a run of the simulator fails with.
#pragma once

#include <stdexcept>

namespace muster::simulator {

// The core and the oracle differ, or the core broke a rule of its shell.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void must(bool good, const char* what) {
  if (!good) throw Violation(what);
}

}  // namespace muster::simulator
