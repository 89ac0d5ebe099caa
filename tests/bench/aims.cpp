#include "bench/aims.h"

#include <algorithm>
#include <array>

#include "bench/scenarios.h"
#include "bench/table.h"
#include "bench/text.h"

namespace muster::bench {
namespace {

constexpr char kTimesFloor[] = "x floor";

// The aims of one musterd.
class Judge {
 public:
  Judge(const Results& results, const SubjectFacts& subject)
      : results_(results), subject_(subject) {}

  std::vector<Aim> all() {
    one_process();
    process_each();
    for (const SubjectFacts& other : results_.subjects) {
      if (other.kind == SubjectSpec::Kind::kOther) ahead_of(other.name);
    }
    size_and_growth();
    scenarios();
    return std::move(aims_);
  }

 private:
  Aim& add(std::string what, double bound, const char* unit, std::optional<double> measured) {
    return aims_.emplace_back(
        Aim{std::move(what), subject_.name, measured, bound, unit, false, {}});
  }

  void row(Mode mode, std::size_t count, double median_bound, double cpu_bound) {
    const Row* row = row_of(results_.rows, mode, count);
    const Figures* figures = row == nullptr ? nullptr : figures_of(*row, subject_.name);
    const std::string where = std::string(name_of(mode)) + ", N = " + grouped(count);
    std::optional<double> ratio;
    std::optional<double> cpu_ratio;
    if (figures != nullptr) {
      ratio = figures->ratio;
      cpu_ratio = figures->cpu_ratio;
    }
    add("median, " + where, median_bound, kTimesFloor, ratio);
    add("broker CPU, " + where, cpu_bound, kTimesFloor, cpu_ratio);
  }

  void one_process() {
    row(Mode::kOneProcess, 10, 1.5, 1.35);
    row(Mode::kOneProcess, 100, 1.25, 1.35);
    row(Mode::kOneProcess, 1'000, 1.25, 1.35);
    row(Mode::kOneProcess, 5'000, 1.5, 1.35);
  }

  void process_each() {
    const bool is_uring = subject_.transport == "io_uring";
    for (const std::size_t count : {std::size_t{100}, std::size_t{1'000}}) {
      row(Mode::kProcessEach, count, is_uring ? 0.9 : 1.1, is_uring ? 0.8 : 1.2);
    }
  }

  // The worst over all rows.
  void ahead_of(const std::string& other) {
    std::optional<double> median;
    std::optional<double> cpu;
    std::size_t median_at = 0;
    std::size_t cpu_at = 0;
    const auto worse = [](std::optional<double>& worst, double ratio) {
      if (worst && *worst >= ratio) return false;
      worst = ratio;
      return true;
    };
    for (const Row& row : results_.rows) {
      const Figures* mine = figures_of(row, subject_.name);
      const Figures* theirs = figures_of(row, other);
      if (mine == nullptr || theirs == nullptr) continue;
      if (worse(median, mine->ratio / theirs->ratio)) median_at = row.options.count;
      if (worse(cpu, mine->cpu_ratio / theirs->cpu_ratio)) cpu_at = row.options.count;
    }
    add("median, against " + other, 1, "x ", median).note = "worst at N = " + grouped(median_at);
    add("broker CPU, against " + other, 1, "x ", cpu).note = "worst at N = " + grouped(cpu_at);
  }

  void size_and_growth() {
    std::optional<double> idle_kib;
    if (const Row* row = row_of(results_.rows, Mode::kOneProcess, 10'000)) {
      if (const Figures* figures = figures_of(*row, subject_.name)) {
        idle_kib = figures->idle_bytes / 1024;
      }
    }
    add("memory of an idle backend, N = 10,000", 3, "KiB", idle_kib);

    std::optional<double> median;
    std::optional<double> cpu;
    std::string floor_median;
    std::string floor_cpu;
    for (const Growth& growth : growth_of(results_.rows)) {
      if (growth.subject == results_.subjects.front().name) {
        floor_median = "the floor's: " + three_digits(growth.median);
        floor_cpu = "the floor's: " + three_digits(growth.cpu);
      }
      if (growth.subject != subject_.name) continue;
      median = growth.median;
      cpu = growth.cpu;
    }
    add("median for each backend, N = 10,000 to 1,000", 1.3, "x", median).note = floor_median;
    add("broker CPU for each backend, N = 10,000 to 1,000", 1.3, "x", cpu).note = floor_cpu;
  }

  void scenario(const char* what, double bound, const char* unit, const char* scenario,
                const char* name, bool at_least = false) {
    std::optional<double> measured;
    if (const double* value = measurement_of(results_.scenarios, scenario, subject_.name, name)) {
      measured = *value;
    }
    add(what, bound, unit, measured).at_least = at_least;
  }

  void scenarios() {
    scenario("registrations", 50.0 / 85.0, kTimesFloor, kRegistrations, kRateRatio, true);
    // "Does not change" is what measuring twice does not tell apart.
    scenario("others' latency with one silent backend", 1.06, "x without", kSilentOne,
             kOthersRatio);
    scenario("end after the silent backend's deadline, worst", 2, "ms", kSilentOne,
             kEndAfterDeadline);
    scenario("lateness of 1,000 deadlines, worst", 5, "ms", kSilentAll, kWorstLateness);
    scenario("100 broadcasts in flight", 1.3, "x alone", kInFlight, kTotalRatio);
    scenario("another's ping while one asks about 10,000 backends, worst", 10, "ms", kTurns,
             kWorstPing);
    scenario("another's ping while 10,000 outcomes are written to the history, p99", 2, "x idle",
             kHistory, kHistoryRatio);
    scenario("the end of a hold of 10,000 backends", 1.3, "x a round", kHoldEnd, kToRound);
    scenario("context switches at rest with 10,000 backends", 0, "", kIdle, kContextSwitches);
    scenario("scan for holders, 111,000 descriptors, CPU", 1.2, "x a plain walk", kHolderScan,
             kScanRatio);
    scenario("scan for holders, 1,000 processes", 150, "ms", kHolderScan, kScanMs);
    scenario("exec to READY", 6, "ms", kStart, kReadyMs);
    scenario("musterctl ping, whole process", 8, "ms", kStart, kPingMs);
    scenario("stripped binary", 3, "MB", kStart, kStrippedMb);
  }

  const Results& results_;
  const SubjectFacts& subject_;
  std::vector<Aim> aims_;
};

}  // namespace

Verdict Aim::verdict() const noexcept {
  if (!measured) return Verdict::kNotMeasured;
  const bool met = at_least ? *measured >= bound : *measured <= bound;
  return met ? Verdict::kOk : Verdict::kMissed;
}

std::string Aim::bound_text() const {
  std::string number = format("%.2f", bound);
  number.erase(number.find_last_not_of('0') + 1);
  if (number.back() == '.') number.pop_back();
  return (at_least ? ">= " : "<= ") + number;
}

std::vector<Aim> judge(const Results& results) {
  std::vector<Aim> aims;
  for (const SubjectFacts& subject : results.subjects) {
    if (subject.kind != SubjectSpec::Kind::kMusterd) continue;
    std::vector<Aim> of_one = Judge(results, subject).all();
    std::move(of_one.begin(), of_one.end(), std::back_inserter(aims));
  }
  return aims;
}

const char* name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kNotMeasured:
      return "not measured";
  }
  return "";
}

}  // namespace muster::bench
