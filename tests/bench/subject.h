// What is measured: a server, be it the floor, musterd or another. All are driven by the same few
// calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "bench/client_protocol.h"

namespace muster::bench {

struct RoundTimes {
  std::vector<double> milliseconds;  // from the operator's request until the last answer is in
  std::uint64_t lost_answers = 0;    // sent by clients, and never seen by whoever asked
};

class Subject {
 public:
  virtual ~Subject() = default;

  // The process whose CPU time and memory count.
  [[nodiscard]] virtual pid_t pid() const = 0;
  // Where clients connect, and how they speak.
  [[nodiscard]] virtual std::filesystem::path socket() const = 0;
  [[nodiscard]] virtual std::unique_ptr<ClientProtocol> protocol() const = 0;
  // Returns when the server knows of `count` clients. They have been told that they are registered;
  // a server that says so later than it knows has nothing to do here.
  virtual void wait_for_clients(std::size_t count) = 0;

  // Begins a round and returns.
  virtual void start_round() = 0;
  // Reads the server's answer to start_round(). Called once the clients have sent all answers.
  virtual void take_acceptance() = 0;
  // How long each round since the last call took, by the clock of whoever collects the answers.
  // Throws std::runtime_error when a round did not end with `count` answers and none is known to be
  // lost.
  [[nodiscard]] virtual RoundTimes take_times(std::size_t count) = 0;
  // A whole round as the operator sees it, until its result is there, in milliseconds.
  [[nodiscard]] virtual double operator_round(std::size_t count) = 0;
};

// How a subject is called and made.
struct SubjectSpec {
  // kYardstick: what says how far another could go; nothing has to be ahead of it.
  enum class Kind : std::uint8_t { kFloor, kMusterd, kOther, kYardstick };
  Kind kind = Kind::kFloor;
  std::string name;       // in tables and JSON
  std::string version;    // of the program or library
  std::string transport;  // musterd's, as its arguments have it; empty: what it chooses
  // In a directory of the subject's alone. Throws when it cannot be started.
  std::function<std::unique_ptr<Subject>(const std::filesystem::path& directory)> start;
};

}  // namespace muster::bench
