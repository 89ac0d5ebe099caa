// Backends that do not answer.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "bench/shared_memory.h"

namespace muster::bench {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kSilenceBackends = 1'000;
constexpr std::size_t kSilentIndex = kSilenceBackends / 2;
constexpr std::size_t kRoundsEach = 7;  // in each repetition
// Far more than the others take.
constexpr milliseconds kBudget{100};
constexpr milliseconds kFirstDeadline{200};

double to_ms(std::chrono::microseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Of one that is silent while it is told to be.
class SilentWhileTold final : public MusterProtocol {
 public:
  explicit SilentWhileTold(const std::atomic<bool>& silent) : silent_(silent) {}
  std::string_view answer(const Seen& operation, std::size_t client) noexcept override {
    if (client == kSilentIndex && silent_.load()) return {};
    return MusterProtocol::answer(operation, client);
  }

 private:
  const std::atomic<bool>& silent_;
};

// Of 1,000 that never answer, with budgets a millisecond apart.
class AlwaysSilent final : public MusterProtocol {
 public:
  std::string hello(std::size_t client) const override {
    return registration_frame(client, kFirstDeadline + milliseconds(client));
  }
  std::string_view answer(const Seen&, std::size_t) noexcept override { return {}; }
};

// The median of the latencies of all but the silent one.
double others_latency(const BroadcastReport& report) {
  std::vector<double> latencies;
  for (const BackendOutcome& backend : report.backends) {
    if (backend.key.replica == std::to_string(kSilentIndex)) continue;
    if (backend.outcome != OutcomeKind::kAck) throw std::runtime_error("a backend did not ack");
    latencies.push_back(to_ms(backend.latency));
  }
  return median(latencies);
}

}  // namespace

ScenarioResult one_silent_backend(const ScenarioOptions& options) {
  const TemporaryDirectory directory;
  MusterdProcess musterd(options.command, directory.path());
  const SharedMemory<std::atomic<bool>> silent;
  Clients clients(musterd.backend_socket(), std::make_unique<SilentWhileTold>(*silent),
                  Mode::kOneProcess, kSilenceBackends);
  const std::string frame = start_frame(kBudget, true);
  const auto round = [&](bool with_silence) {
    silent->store(with_silence);
    clients.board().expect(kSilenceBackends - (with_silence ? 1 : 0));
    musterd.send(frame);
    clients.board().wait();
    return musterd.report(musterd.receive_acceptance());
  };
  for (std::size_t i = 0; i < kRoundsEach; ++i) round(i % 2 == 1);  // warms up

  std::vector<double> without;
  std::vector<double> with;
  std::vector<double> ratios;
  std::vector<double> end_after_deadline;
  for (std::size_t i = 0; i < kRoundsEach * options.repetitions; ++i) {
    without.push_back(others_latency(round(false)));
    const BroadcastReport report = round(true);
    if (report.result.timeouts.size() != 1) throw std::runtime_error("not one backend timed out");
    with.push_back(others_latency(report));
    ratios.push_back(with.back() / without.back());
    end_after_deadline.push_back(to_ms(report.duration - kBudget));
  }
  return {kSilentOne,
          options.subject,
          {{"others_latency_without_ms", median(without)},
           {"others_latency_with_ms", median(with)},
           {kOthersRatio, median(ratios)},
           {"end_after_deadline_median_ms", median(end_after_deadline)},
           {kEndAfterDeadline, quantile(end_after_deadline, 1)}}};
}

ScenarioResult many_deadlines(const ScenarioOptions& options) {
  const TemporaryDirectory directory;
  MusterdProcess musterd(options.command, directory.path());
  const Clients clients(musterd.backend_socket(), std::make_unique<AlwaysSilent>(),
                        Mode::kOneProcess, kSilenceBackends);
  std::vector<double> lateness;
  for (std::size_t i = 0; i < options.repetitions; ++i) {
    musterd.send(start_frame({}, true));
    const BroadcastReport report = musterd.report(musterd.receive_acceptance());
    for (const BackendOutcome& backend : report.backends) {
      if (backend.outcome != OutcomeKind::kTimeout)
        throw std::runtime_error("one did not time out");
      lateness.push_back(to_ms(backend.latency - backend.ack_timeout));
    }
  }
  if (lateness.size() != kSilenceBackends * options.repetitions) {
    throw std::runtime_error("not all backends were asked");
  }
  // Too early would be wrong as well, and counts as much.
  const double earliest = quantile(lateness, 0);
  return {kSilentAll,
          options.subject,
          {{"lateness_median_ms", median(lateness)},
           {"lateness_earliest_ms", earliest},
           {kWorstLateness, std::max(quantile(lateness, 1), -earliest)}}};
}

}  // namespace muster::bench
