// What writing a large report to the history costs another operator: its pings while the history's
// thread writes the outcomes of a broadcast, against its pings while nothing happens.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "bench/unix_socket.h"
#include "os/process_setup.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::bench {
namespace {

// The history has written 10,000 outcomes before so many pings are answered.
constexpr std::size_t kPings = 4'000;

class WallPinger {
 public:
  explicit WallPinger(const MusterdProcess& musterd)
      : socket_(connect_to(musterd.control_socket())) {
    wire::ControlRequestFrame frame;
    frame.request_id = 1;
    frame.message = wire::Ping{};
    frame_ = wire::encode(frame);
  }

  double p99_ms() {
    std::vector<double> all;
    for (std::size_t i = 0; i < kPings; ++i) all.push_back(ping_ms());
    return quantile(std::move(all), 0.99);
  }

 private:
  double ping_ms() {
    const auto begin = std::chrono::steady_clock::now();
    send_all(socket_.get(), frame_);
    std::array<char, wire::kHeaderBytes> header{};
    receive_all(socket_.get(), header.data(), header.size());
    answer_.resize(static_cast<unsigned char>(header[1]));  // a pong is short
    receive_all(socket_.get(), answer_.data(), answer_.size());
    const auto took = std::chrono::steady_clock::now() - begin;
    return std::chrono::duration<double, std::milli>(took).count();
  }

  os::UniqueFd socket_;
  std::string frame_;
  std::string answer_;
};

}  // namespace

ScenarioResult history(const ScenarioOptions& options) {
  constexpr std::size_t kOtherDescriptors = 128;
  const std::size_t limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  const std::size_t backends = std::min(options.idle_backends, limit - kOtherDescriptors);

  const TemporaryDirectory directory;
  MusterdProcess musterd(options.command, directory.path());
  const Clients clients(musterd.backend_socket(), std::make_unique<MusterProtocol>(),
                        Mode::kOneProcess, backends);
  WallPinger pinger(musterd);
  std::vector<double> idle;
  std::vector<double> writing;
  for (std::size_t i = 0; i < options.repetitions; ++i) {
    wait_until_idle(musterd.pid());
    idle.push_back(pinger.p99_ms());
    musterd.send(start_frame(std::chrono::seconds(20), false));
    static_cast<void>(musterd.receive_report());
    writing.push_back(pinger.p99_ms());
  }
  ScenarioResult result{kHistory, options.subject, {{"backends", static_cast<double>(backends)}}};
  result.measurements.push_back({"idle_ping_p99_ms", median(idle)});
  result.measurements.push_back({"writing_ping_p99_ms", median(writing)});
  result.measurements.push_back({kHistoryRatio, median(writing) / median(idle)});
  return result;
}

}  // namespace muster::bench
