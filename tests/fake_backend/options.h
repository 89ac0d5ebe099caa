// The command line of muster-fake-backend.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "muster/registration.h"

#include "fake_backend/behaviour.h"

namespace muster::fake {

inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;
inline constexpr int kExitRefused = 4;

struct Options {
  std::filesystem::path socket;  // backend.sock
  Registration registration;     // not checked: the broker's refusal is what a test may want
  std::size_t count = 1;
  // The n-th operation gets the n-th behaviour, all further ones the last. Never empty.
  std::array<std::vector<Behaviour>, BroadcastOperation::kKnown> on;  // by OperationKind
  // How it registers: kAck at once, kSilent never, kHalfFrame, kByteByByte, kGarbage.
  Behaviour registering;
  std::vector<std::string> keep_open;  // files or directories
  bool never_close = false;            // it acks and keeps them open
  // Opens them again so long after it closed them, whatever is held.
  std::optional<std::chrono::milliseconds> reopen_after;
  bool reconnect = true;
  bool quiet = false;
  bool verbose = false;

  // "[3] " when there are several backends, else nothing.
  [[nodiscard]] std::string prefix(std::size_t index) const;
  // What backend `index` registers: with several, the index is added to the replica.
  [[nodiscard]] Registration registration_of(std::size_t index) const;
};

struct ParsedOptions {
  Options options;
  bool exit = false;  // --help was asked for, or the command line is wrong: told already
  int status = 0;
};

[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace muster::fake
