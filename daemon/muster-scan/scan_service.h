// Answers the broker's questions who has files in use: one connection after the other, one question
// each.
//
// One thread. It has no state: what it is asked is all that it knows.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "muster/holders.h"

#include "wire/holders.h"

namespace muster::scan {

struct ServiceLimits {
  std::chrono::milliseconds idle{30'000};     // without a question it ends
  std::chrono::milliseconds patience{5'000};  // for one question to come, for one answer to go
};

// What a question may ask for at most; more is cut.
[[nodiscard]] wire::ScanRequest within_limits(wire::ScanRequest request);

// Reads one question from `socket`, a connected stream socket, and answers it. Empty when it was
// answered, else what went wrong: the connection is to be closed then.
[[nodiscard]] std::string answer(int socket, std::chrono::milliseconds patience);

// Serves `listener` until nobody asks any more; true then, false when it cannot go on. `log` gets a
// sentence for each question that was not answered.
[[nodiscard]] bool serve(int listener, const ServiceLimits& limits,
                         const std::function<void(const std::string&)>& log);

}  // namespace muster::scan
