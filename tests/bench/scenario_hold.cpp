// How soon very many backends know that a hold has ended.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "os/process_setup.h"
#include "wire/control_lane.h"

namespace muster::bench {
namespace {

// An event is the end of a hold: nothing else happens here.
class HeldProtocol : public MusterProtocol {
 public:
  Seen see(std::string_view input, bool greeted) const noexcept override {
    Seen seen = MusterProtocol::see(input, greeted);
    if (seen.kind == Seen::Kind::kOther) seen.kind = Seen::Kind::kTold;
    return seen;
  }
};

class HeldBackends {
 public:
  HeldBackends(const ScenarioOptions& options, std::size_t backends)
      : backends_(backends),
        musterd_(options.command, directory_.path()),
        clients_(musterd_.backend_socket(), std::make_unique<HeldProtocol>(), Mode::kOneProcess,
                 backends) {}

  // How long a broadcast takes by the broker's own clock.
  double round_ms() {
    wait_until_idle(musterd_.pid());
    wire::StartBroadcast start;
    start.request.operation = BroadcastOperation::release_handles(std::string(kPath));
    start.request.ack_timeout = std::chrono::seconds(20);
    start.request.hold = HoldRequest{false, std::chrono::hours(1)};
    clients_.board().expect(backends_);
    send(start);
    clients_.board().wait();
    const BroadcastReport report = musterd_.receive_report();
    if (report.result.acks.size() != backends_) throw std::runtime_error("not all acked");
    held_ = report.broadcast_id;
    return std::chrono::duration<double, std::milli>(report.duration).count();
  }

  // From the request until the last client has read it.
  double end_ms() {
    wait_until_idle(musterd_.pid());
    clients_.board().expect(backends_);
    const auto begin = std::chrono::steady_clock::now();
    send(wire::EndHold{held_});
    clients_.board().wait();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    if (!std::holds_alternative<HoldInfo>(musterd_.decode(musterd_.receive()))) {
      throw std::runtime_error("the hold could not be ended");
    }
    return time.count();
  }

 private:
  void send(decltype(wire::ControlRequestFrame::message) message) {
    wire::ControlRequestFrame frame;
    frame.request_id = 1;
    frame.message = std::move(message);
    musterd_.send(wire::encode(frame));
  }

  const std::size_t backends_;
  TemporaryDirectory directory_;
  MusterdProcess musterd_;
  Clients clients_;
  HoldId held_ = 0;
};

}  // namespace

ScenarioResult hold_end(const ScenarioOptions& options) {
  constexpr std::size_t kOtherDescriptors = 128;
  constexpr std::size_t kRoundsForOne = 3;  // repetitions: a round takes some milliseconds
  const std::size_t limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  const std::size_t backends = std::min(options.idle_backends, limit - kOtherDescriptors);

  HeldBackends held(options, backends);
  std::vector<double> rounds;
  std::vector<double> ends;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < kRoundsForOne * options.repetitions; ++i) {
    rounds.push_back(held.round_ms());
    ends.push_back(held.end_ms());
    ratios.push_back(ends.back() / rounds.back());
  }
  ScenarioResult result{kHoldEnd, options.subject, {{"backends", static_cast<double>(backends)}}};
  result.measurements.push_back({"round_ms", median(rounds)});
  result.measurements.push_back({"end_ms", median(ends)});
  result.measurements.push_back({kToRound, median(ratios)});
  return result;
}

}  // namespace muster::bench
