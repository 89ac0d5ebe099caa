// How long one request about very many backends keeps another operator waiting.
//
// Counted is the time that the broker computes between a ping and its answer: what the ping would
// wait on a machine where nobody else needs the processor.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "bench/unix_socket.h"
#include "os/process_setup.h"
#include "wire/framing.h"

namespace muster::bench {
namespace {

using Request = decltype(wire::ControlRequestFrame::message);

std::string frame_of(Request message) {
  wire::ControlRequestFrame frame;
  frame.request_id = 1;
  frame.message = std::move(message);
  return wire::encode(frame);
}

// An operator that does nothing but ask whether the broker is there.
class Pinger {
 public:
  explicit Pinger(const MusterdProcess& musterd)
      : broker_(musterd.pid()), socket_(connect_to(musterd.control_socket())) {}

  // How long the broker computes from then, a cpu_time() of it, until it has answered.
  double ping_ms(std::chrono::nanoseconds then) {
    send_all(socket_.get(), frame_);
    std::array<char, wire::kHeaderBytes> header{};
    receive_all(socket_.get(), header.data(), header.size());
    answer_.resize(static_cast<unsigned char>(header[1]));  // a pong is short
    receive_all(socket_.get(), answer_.data(), answer_.size());
    return std::chrono::duration<double, std::milli>(cpu_time(broker_) - then).count();
  }

 private:
  const pid_t broker_;
  os::UniqueFd socket_;
  const std::string frame_ = frame_of(wire::Ping{});
  std::string answer_;
};

// The longest ping from the request until it is answered.
double worst_ping_ms(MusterdProcess& musterd, Pinger& pinger, const std::string& request) {
  const auto broker_cpu = [&] { return cpu_time(musterd.pid()); };
  static_cast<void>(pinger.ping_ms(broker_cpu()));
  std::atomic<bool> answered = false;
  std::exception_ptr failure;
  const auto at_first = broker_cpu();
  musterd.send(request);
  std::string_view answer;
  std::thread reader([&] {
    try {
      answer = musterd.receive();
    } catch (...) {
      failure = std::current_exception();
    }
    answered = true;
  });
  double worst = pinger.ping_ms(at_first);
  while (!answered) worst = std::max(worst, pinger.ping_ms(broker_cpu()));
  reader.join();
  if (failure) std::rethrow_exception(failure);
  static_cast<void>(musterd.decode(answer));
  return worst;
}

Selection sixteen_selectors() {
  Selection selection;
  for (int i = 0; i < 15; ++i) {
    selection.push_back(Selector::parse("service=none-" + std::to_string(i) + "-*").selector);
  }
  selection.push_back(Selector::parse("service=bench").selector);
  return selection;
}

}  // namespace

ScenarioResult turns(const ScenarioOptions& options) {
  constexpr std::size_t kOtherDescriptors = 128;
  const std::size_t limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  const std::size_t backends = std::min(options.idle_backends, limit - kOtherDescriptors);

  const TemporaryDirectory directory;
  MusterdProcess musterd(options.command, directory.path());
  const Clients clients(musterd.backend_socket(), std::make_unique<MusterProtocol>(),
                        Mode::kOneProcess, backends);
  Pinger pinger(musterd);
  wait_until_idle(musterd.pid());

  wire::StartBroadcast release;
  release.request.operation = BroadcastOperation::release_handles(std::string(kPath));
  release.request.ack_timeout = std::chrono::seconds(20);
  wire::StartBroadcast quiesce = release;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  wire::StartBroadcast dry_run = release;
  dry_run.dry_run = true;
  struct Asked {
    const char* name;
    std::string frame;
    std::vector<double> worst{};
  };
  std::vector<Asked> all{
      {"release_ms", frame_of(release)},
      {"report_ms", frame_of(wire::GetReport{})},
      {"list_ms", frame_of(wire::ListBackends{sixteen_selectors()})},
      {"dry_run_ms", frame_of(dry_run)},
      {"status_ms", frame_of(wire::GetStatus{})},
      {"quiesce_ms", frame_of(quiesce)},
      {"resume_ms", frame_of(wire::Resume{})},
  };
  for (std::size_t i = 0; i < options.repetitions; ++i) {
    for (Asked& one : all) {
      one.worst.push_back(worst_ping_ms(musterd, pinger, one.frame));
      wait_until_idle(musterd.pid());
    }
  }
  ScenarioResult result{kTurns, options.subject, {{"backends", static_cast<double>(backends)}}};
  double longest = 0;
  for (const Asked& one : all) {
    result.measurements.push_back({one.name, median(one.worst)});
    longest = std::max(longest, median(one.worst));
  }
  result.measurements.push_back({kWorstPing, longest});
  return result;
}

}  // namespace muster::bench
