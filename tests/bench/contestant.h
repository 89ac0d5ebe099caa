// One server with its clients, and what was seen of it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "bench/child.h"
#include "bench/clients.h"
#include "bench/subject.h"

namespace muster::bench {

class Contestant {
 public:
  struct Turn {
    double median_ms = 0;
    double cpu_us = 0;  // for each backend and round
  };

  // Starts the server in a directory of its own, and `count` clients, and warms both up.
  Contestant(const SubjectSpec& spec, Mode mode, std::size_t count, std::size_t rounds);

  // So many rounds; what they took is one of turns().
  void take_turn();
  // A few rounds as the operator sees them.
  void take_operator_rounds();

  [[nodiscard]] const std::vector<Turn>& turns() const noexcept { return turns_; }
  [[nodiscard]] const std::vector<double>& rounds_ms() const noexcept { return rounds_ms_; }
  [[nodiscard]] const std::vector<double>& operator_ms() const noexcept { return operator_ms_; }
  // Resident memory for each idle client.
  [[nodiscard]] double idle_bytes() const noexcept { return idle_bytes_; }
  // A second; 0 where clients are processes.
  [[nodiscard]] double registrations() const;
  // Of all answers.
  [[nodiscard]] double lost_share() const;

 private:
  void run_rounds(std::size_t rounds);

  TemporaryDirectory directory_;
  std::size_t count_;
  std::size_t rounds_;
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<Clients> clients_;
  double idle_bytes_ = 0;
  std::vector<Turn> turns_;
  std::vector<double> rounds_ms_;
  std::vector<double> operator_ms_;
  std::uint64_t lost_answers_ = 0;
};

}  // namespace muster::bench
