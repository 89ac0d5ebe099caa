// Many broadcasts at a time: what they cost together against what they cost one after another.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kInFlightBackends = 1'000;
constexpr std::size_t kBroadcasts = 100;

// Keeps all reports: they are read when all rounds are over, and the defaults would let some go.
MusterdCommand keeping_reports(MusterdCommand command, const std::filesystem::path& directory) {
  if (std::find(command.arguments.begin(), command.arguments.end(), "--config") !=
      command.arguments.end()) {
    return command;
  }
  const std::filesystem::path config = directory / "reports.toml";
  std::ofstream(config) << "[broker]\nreport_bytes_kept = \"1GiB\"\n"
                           "[quota]\nreport_bytes = \"1GiB\"\n";
  command.arguments.insert(command.arguments.end(), {"--config", config});
  return command;
}

class InFlightRounds {
 public:
  explicit InFlightRounds(const ScenarioOptions& options)
      : musterd_(keeping_reports(options.command, directory_.path()), directory_.path()),
        clients_(musterd_.backend_socket(), std::make_unique<MusterProtocol>(), Mode::kOneProcess,
                 kInFlightBackends) {}

  // The sum by the broker's own clock: no time between two rounds is in it.
  double one_after_another_ms() {
    for (std::size_t i = 0; i < kBroadcasts; ++i) {
      clients_.board().expect(kInFlightBackends);
      musterd_.send(frame_);
      clients_.board().wait();
      wait_until_idle(musterd_.pid());
      ids_.push_back(musterd_.receive_acceptance());
    }
    return sum_of_durations();
  }

  double at_once_ms() {
    std::string frames;
    for (std::size_t i = 0; i < kBroadcasts; ++i) frames += frame_;
    clients_.board().expect(kInFlightBackends * kBroadcasts);
    const auto start = Clock::now();
    musterd_.send(frames);
    clients_.board().wait();
    wait_until_idle(musterd_.pid());
    const std::chrono::duration<double, std::milli> time = Clock::now() - start;
    for (std::size_t i = 0; i < kBroadcasts; ++i) ids_.push_back(musterd_.receive_acceptance());
    static_cast<void>(sum_of_durations());
    return time.count();
  }

 private:
  // Also sees that every backend acked every one of them.
  double sum_of_durations() {
    double sum = 0;
    for (const BroadcastId id : ids_) {
      const BroadcastReport report = musterd_.report(id);
      if (report.result.acks.size() != kInFlightBackends) throw std::runtime_error("not all acked");
      sum += std::chrono::duration<double, std::milli>(report.duration).count();
    }
    ids_.clear();
    return sum;
  }

  TemporaryDirectory directory_;
  MusterdProcess musterd_;
  Clients clients_;
  const std::string frame_ = start_frame(std::chrono::seconds(20), true);
  std::vector<BroadcastId> ids_;
};

}  // namespace

ScenarioResult many_in_flight(const ScenarioOptions& options) {
  InFlightRounds rounds(options);
  static_cast<void>(rounds.one_after_another_ms());  // warms up
  static_cast<void>(rounds.at_once_ms());
  std::vector<double> alone;
  std::vector<double> at_once;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < options.repetitions; ++i) {
    alone.push_back(rounds.one_after_another_ms());
    at_once.push_back(rounds.at_once_ms());
    ratios.push_back(at_once.back() / alone.back());
  }
  return {kInFlight,
          options.subject,
          {{"one_after_another_ms", median(alone)},
           {"at_once_ms", median(at_once)},
           {kTotalRatio, median(ratios)}}};
}

}  // namespace muster::bench
