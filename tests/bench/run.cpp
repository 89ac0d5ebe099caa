#include "bench/run.h"

#include <algorithm>
#include <memory>

#include "bench/contestant.h"
#include "bench/measure.h"

namespace muster::bench {
namespace {

constexpr double kFloorMicrosecondsEach = 6;    // about, one process
constexpr double kProcessesMakeItSlowerBy = 4;  // about
// Others than musterd take several times as long as the floor; with fewer rounds in a turn their
// turns are about as long.
constexpr std::size_t kOthersHaveFewerRoundsBy = 3;

// Of one server, over all repetitions.
struct Gathered {
  std::vector<double> rounds_ms, ratios, cpu_us, cpu_ratios, idle, registrations, operator_ms;
  std::vector<double> lost;

  void add(const Contestant& one, const Contestant& floor) {
    rounds_ms.insert(rounds_ms.end(), one.rounds_ms().begin(), one.rounds_ms().end());
    operator_ms.insert(operator_ms.end(), one.operator_ms().begin(), one.operator_ms().end());
    idle.push_back(one.idle_bytes());
    registrations.push_back(one.registrations());
    lost.push_back(one.lost_share());
    for (std::size_t turn = 0; turn < one.turns().size(); ++turn) {
      const Contestant::Turn& mine = one.turns()[turn];
      const Contestant::Turn& least = floor.turns()[turn];
      cpu_us.push_back(mine.cpu_us);
      ratios.push_back(mine.median_ms / least.median_ms);
      cpu_ratios.push_back(mine.cpu_us / least.cpu_us);
    }
  }

  [[nodiscard]] Figures figures(const std::string& subject) const {
    Figures figures;
    figures.subject = subject;
    figures.median_ms = median(rounds_ms);
    figures.p99_ms = quantile(rounds_ms, 0.99);
    figures.ratio = median(ratios);
    figures.cpu_us = median(cpu_us);
    figures.cpu_ratio = median(cpu_ratios);
    figures.idle_bytes = median(idle);
    figures.registrations = median(registrations);
    figures.operator_ms = median(operator_ms);
    figures.lost_share = mean(lost);
    figures.rounds = rounds_ms.size();
    return figures;
  }
};

}  // namespace

Row run_row(const RowOptions& options, const std::vector<SubjectSpec>& subjects) {
  const double turn_ms = options.mode == Mode::kOneProcess
                             ? options.turn_ms
                             : options.turn_ms / kProcessesMakeItSlowerBy;
  const std::size_t rounds = rounds_for(options.count, turn_ms);
  std::vector<Gathered> gathered(subjects.size());
  for (std::size_t repetition = 0; repetition < options.repetitions; ++repetition) {
    std::vector<std::unique_ptr<Contestant>> contestants;
    for (const SubjectSpec& subject : subjects) {
      const bool is_slow = subject.kind == SubjectSpec::Kind::kOther;
      const std::size_t fewer = std::max<std::size_t>(rounds / kOthersHaveFewerRoundsBy, 3);
      contestants.push_back(std::make_unique<Contestant>(subject, options.mode, options.count,
                                                         is_slow ? fewer : rounds));
    }
    for (std::size_t turn = 0; turn < options.turns; ++turn) {
      // Whoever goes first in one turn goes last in the next.
      for (std::size_t i = 0; i < contestants.size(); ++i) {
        contestants[(turn + i) % contestants.size()]->take_turn();
      }
    }
    for (const auto& each : contestants) each->take_operator_rounds();
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      gathered[i].add(*contestants[i], *contestants.front());
    }
  }

  Row row;
  row.options = options;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    row.figures.push_back(gathered[i].figures(subjects[i].name));
  }
  return row;
}

std::size_t rounds_for(std::size_t count, double milliseconds) {
  // musterd keeps 1,000 reports and 1,000,000 outcomes; a turn's are asked for when it is over.
  const std::size_t most = std::clamp<std::size_t>(500'000 / count, 5, 500);
  const double round_ms = static_cast<double>(count) * kFloorMicrosecondsEach / 1'000;
  return std::clamp<std::size_t>(static_cast<std::size_t>(milliseconds / round_ms), 5, most);
}

std::string why_impossible(Mode mode, std::size_t count, std::size_t descriptor_limit) {
  // A connection for each backend and a pidfd for each process, and some for the rest.
  const std::size_t needed = (mode == Mode::kOneProcess ? count : 2 * count) + 128;
  if (needed <= descriptor_limit) return {};
  return "a server needs " + std::to_string(needed) + " descriptors for " + std::to_string(count) +
         " backends and may have " + std::to_string(descriptor_limit);
}

}  // namespace muster::bench
