// What a fake backend does when it is asked something, as it is written on the command line.
//
// Pure values; fake_backend/play.h acts them out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::fake {

enum class Act {
  kAck,
  kAckAfter,          // delay
  kSilent,            //
  kReject,            // text: the detail
  kUnsupported,       // text
  kError,             // text
  kWork,              // delay, count
  kWorkForever,       // delay
  kExit,              //
  kCrash,             //
  kStop,              //
  kDrop,              //
  kDropReturn,        // delay
  kAckDrop,           //
  kSecondConnection,  //
  kDeregister,        //
  kHalfClose,         //
  kForkHold,          //
  kStopReading,       //
  kGarbage,           // text: which (fake_backend/garbage.h)
  kHalfFrame,         //
  kByteByByte,        // delay
  kTwice,             //
  kLate,              // delay
  kUnknownId,         //
  kFlood,             // count
};

struct Behaviour {
  Act act = Act::kAck;
  std::chrono::milliseconds delay{};
  std::uint32_t count = 0;
  std::string text = {};

  struct Parsed;
  // Reads "ack", "work:300ms:3", "reject:not now".
  [[nodiscard]] static Parsed parse(std::string_view text);

  friend bool operator==(const Behaviour&, const Behaviour&) = default;
};

struct Behaviour::Parsed {
  Behaviour behaviour;  // valid when problem is empty
  std::string problem;  // one sentence: what is wrong, what would be right
};

// All behaviours with what they do, a line each, for --help.
[[nodiscard]] std::string behaviours_help();

}  // namespace muster::fake
