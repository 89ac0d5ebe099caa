// What is measured: the floor, or musterd. Both are driven by the same few calls.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace muster::bench {

class Subject {
 public:
  virtual ~Subject() = default;

  [[nodiscard]] virtual pid_t pid() const = 0;
  // Where backends connect.
  [[nodiscard]] virtual std::filesystem::path socket() const = 0;
  // Begins a round and returns.
  virtual void start_round() = 0;
  // Reads the server's answer to start_round(). Called once the peers have sent all answers.
  virtual void take_acceptance() = 0;
  // How long each round since the last call took by the server's own clock, in milliseconds:
  // from the operator's request until the last answer is in. Throws std::runtime_error when a
  // round did not end with `count` acks.
  [[nodiscard]] virtual std::vector<double> take_times(std::size_t count) = 0;
  // A whole round as the operator sees it, until its result is there, in milliseconds.
  [[nodiscard]] virtual double operator_round(std::size_t count) = 0;
};

// `directory` is the subject's alone. Throw when it cannot be started.
[[nodiscard]] std::unique_ptr<Subject> start_floor(const std::filesystem::path& directory);
[[nodiscard]] std::unique_ptr<Subject> start_musterd(const std::filesystem::path& program,
                                                     const std::vector<std::string>& arguments,
                                                     const std::filesystem::path& directory);

}  // namespace muster::bench
