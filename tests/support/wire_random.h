// Random values of everything that crosses the wire, the same for the same seed.
//
// The values are such that the wire carries them whole: texts are UTF-8 within their limits,
// durations fit. What a backend may send beyond that (odd keys, many labels) is among them.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "wire/backend_lane.h"
#include "wire/control_lane.h"

namespace muster::test {

// $MUSTER_TEST_SEED where a failure is to be repeated, else a new one. Put it into SCOPED_TRACE.
[[nodiscard]] std::uint64_t random_seed();

class WireRandom {
 public:
  explicit WireRandom(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::uint64_t up_to(std::uint64_t most);  // 0 to most
  [[nodiscard]] bool chance() { return up_to(1) == 1; }
  // Of any size: every number of bits is as likely as every other.
  [[nodiscard]] std::uint64_t number();
  [[nodiscard]] std::uint32_t number32() { return static_cast<std::uint32_t>(number()); }
  [[nodiscard]] std::string bytes(std::size_t most);
  [[nodiscard]] std::string text(std::size_t most);  // UTF-8
  [[nodiscard]] std::chrono::milliseconds ms() { return std::chrono::milliseconds(number32()); }
  [[nodiscard]] std::chrono::microseconds us();

  [[nodiscard]] BackendKey key();
  [[nodiscard]] Labels labels();
  [[nodiscard]] BroadcastOperation operation();
  [[nodiscard]] Selection selection();
  [[nodiscard]] BroadcastFailureReason reason();

  [[nodiscard]] Registration registration();
  [[nodiscard]] Failure failure();
  [[nodiscard]] Working working();
  [[nodiscard]] Registered registered();
  [[nodiscard]] Refusal refusal();
  [[nodiscard]] OutgoingOperation outgoing();
  [[nodiscard]] HoldEnded hold_ended();

  [[nodiscard]] BackendOutcome outcome();
  [[nodiscard]] Holder holder();
  [[nodiscard]] HolderScan holder_scan();
  [[nodiscard]] Verification verification();
  [[nodiscard]] HoldState hold_state();
  [[nodiscard]] HoldInfo hold_info();
  [[nodiscard]] LateAnswer late();
  [[nodiscard]] BroadcastReport report();
  [[nodiscard]] BackendInfo info();
  [[nodiscard]] PolicyQuestion question();
  [[nodiscard]] BrokerStatus status();
  [[nodiscard]] Event event();
  // `which`: each number below the count of alternatives gives another of them.
  [[nodiscard]] wire::ControlRequestFrame request(std::size_t which);
  [[nodiscard]] wire::ControlResponse response(std::size_t which);

 private:
  template <typename Make>
  auto some(std::size_t most, Make make) {
    std::vector<decltype(make())> made;
    for (auto n = up_to(most); n > 0; --n) made.push_back(make());
    return made;
  }
  template <typename Enum>
  Enum any(Enum last) {
    return static_cast<Enum>(up_to(static_cast<std::uint64_t>(last)));
  }

  std::mt19937_64 engine_;
};

}  // namespace muster::test
