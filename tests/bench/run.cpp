#include "bench/run.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "bench/measure.h"

namespace muster::bench {
namespace {

constexpr double kFloorMicrosecondsEach = 6;  // about, one process
constexpr std::size_t kOperatorRounds = 5;    // in each repetition

struct Turn {
  double median_ms = 0;
  double cpu_us = 0;
};

// One server with its peers, and what was seen of it.
class Contestant {
 public:
  Contestant(std::unique_ptr<Subject> subject, const CaseOptions& options)
      : options_(options), subject_(std::move(subject)) {
    const std::size_t before = resident_bytes(subject_->pid());
    peers_.emplace(subject_->socket(), options_.mode, options_.count);
    const std::size_t after = resident_bytes(subject_->pid());
    idle_bytes_ = (static_cast<double>(after) - static_cast<double>(before)) /
                  static_cast<double>(options_.count);
    // Both pay for the first rounds' cold caches and first allocations before anything counts.
    take_turn(std::max<std::size_t>(options_.rounds / 4, 3));
    rounds_ms_.clear();
    turns_.clear();
  }

  void take_turn(std::size_t rounds) {
    const auto cpu_before = cpu_time(subject_->pid());
    for (std::size_t i = 0; i < rounds; ++i) {
      peers_->board().expect(options_.count);
      subject_->start_round();
      peers_->board().wait();
      // The answers are sent, not all are read. What is asked now would get mixed up with them.
      wait_until_idle(subject_->pid());
      subject_->take_acceptance();
    }
    const auto cpu =
        std::chrono::duration<double, std::micro>(cpu_time(subject_->pid()) - cpu_before);
    const std::vector<double> times = subject_->take_times(options_.count);
    rounds_ms_.insert(rounds_ms_.end(), times.begin(), times.end());
    turns_.push_back({median(times), cpu.count() / static_cast<double>(rounds * options_.count)});
  }

  void take_operator_rounds() {
    for (std::size_t i = 0; i < kOperatorRounds; ++i) {
      peers_->board().expect(options_.count);
      operator_ms_.push_back(subject_->operator_round(options_.count));
      peers_->board().wait();
      wait_until_idle(subject_->pid());
    }
  }

  // Adds what was seen to that of other repetitions.
  void add_to(Measured& sum, std::vector<double>& idle, std::vector<double>& registrations,
              std::vector<double>& operator_ms) const {
    sum.rounds_ms.insert(sum.rounds_ms.end(), rounds_ms_.begin(), rounds_ms_.end());
    idle.push_back(idle_bytes_);
    operator_ms.insert(operator_ms.end(), operator_ms_.begin(), operator_ms_.end());
    const auto time = std::chrono::duration<double>(peers_->registration_time()).count();
    if (time > 0) registrations.push_back(static_cast<double>(options_.count) / time);
  }
  [[nodiscard]] const std::vector<Turn>& turns() const { return turns_; }

 private:
  const CaseOptions& options_;
  std::unique_ptr<Subject> subject_;
  std::optional<Peers> peers_;
  double idle_bytes_ = 0;
  std::vector<Turn> turns_;
  std::vector<double> rounds_ms_;
  std::vector<double> operator_ms_;
};

// Of one server, over all repetitions.
struct Gathered {
  std::vector<double> cpu_us, idle, registrations, operator_ms;

  void add(const Contestant& contestant, Measured& measured) {
    contestant.add_to(measured, idle, registrations, operator_ms);
    for (const Turn& turn : contestant.turns()) cpu_us.push_back(turn.cpu_us);
  }
  void finish(Measured& measured) const {
    measured.median_ms = median(measured.rounds_ms);
    measured.p99_ms = quantile(measured.rounds_ms, 0.99);
    measured.cpu_us = median(cpu_us);
    measured.idle_bytes = median(idle);
    measured.registrations = median(registrations);
    measured.operator_ms = median(operator_ms);
  }
};

}  // namespace

Case run_case(const CaseOptions& options, const StartMusterd& start_musterd) {
  Case result;
  result.options = options;
  Gathered floor_sum;
  Gathered musterd_sum;
  std::vector<double> ratios;
  std::vector<double> cpu_ratios;

  for (std::size_t repetition = 0; repetition < options.repetitions; ++repetition) {
    const TemporaryDirectory floor_directory;
    const TemporaryDirectory musterd_directory;
    Contestant floor(start_floor(floor_directory.path()), options);
    std::unique_ptr<Contestant> musterd;
    if (start_musterd) {
      musterd = std::make_unique<Contestant>(start_musterd(musterd_directory.path()), options);
    }
    for (std::size_t turn = 0; turn < options.turns; ++turn) {
      // Whoever goes first in one turn goes second in the next.
      if (musterd && turn % 2 == 1) musterd->take_turn(options.rounds);
      floor.take_turn(options.rounds);
      if (musterd && turn % 2 == 0) musterd->take_turn(options.rounds);
    }
    floor.take_operator_rounds();
    floor_sum.add(floor, result.floor);
    if (!musterd) continue;
    musterd->take_operator_rounds();
    musterd_sum.add(*musterd, result.musterd);
    for (std::size_t turn = 0; turn < options.turns; ++turn) {
      ratios.push_back(musterd->turns()[turn].median_ms / floor.turns()[turn].median_ms);
      cpu_ratios.push_back(musterd->turns()[turn].cpu_us / floor.turns()[turn].cpu_us);
    }
  }
  floor_sum.finish(result.floor);
  musterd_sum.finish(result.musterd);
  result.ratio = median(ratios);
  result.cpu_ratio = median(cpu_ratios);
  return result;
}

std::size_t rounds_for(std::size_t count, double milliseconds) {
  // musterd keeps 1,000 reports and 1,000,000 outcomes; a turn's are asked for when it is over.
  const std::size_t most = std::clamp<std::size_t>(500'000 / count, 5, 500);
  const double round_ms = static_cast<double>(count) * kFloorMicrosecondsEach / 1'000;
  return std::clamp<std::size_t>(static_cast<std::size_t>(milliseconds / round_ms), 5, most);
}

std::string why_impossible(std::size_t count, std::size_t descriptor_limit) {
  // A connection and its process's pidfd for each backend, and some for the rest.
  const std::size_t needed = 2 * count + 64;
  if (needed <= descriptor_limit) return {};
  return "musterd needs " + std::to_string(needed) + " descriptors for " + std::to_string(count) +
         " backends (a socket and a pidfd each) and may have " + std::to_string(descriptor_limit);
}

}  // namespace muster::bench
