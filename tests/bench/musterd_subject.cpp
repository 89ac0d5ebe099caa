#include "bench/musterd_subject.h"

#include <chrono>
#include <stdexcept>
#include <vector>

#include "bench/frames.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Far more than a round takes: nothing here times out.
constexpr std::chrono::seconds kAckTimeout{20};

class MusterdSubject final : public Subject {
 public:
  MusterdSubject(const MusterdCommand& command, const std::filesystem::path& directory)
      : musterd_(command, directory) {}

  pid_t pid() const override { return musterd_.pid(); }
  std::filesystem::path socket() const override { return musterd_.backend_socket(); }
  std::unique_ptr<ClientProtocol> protocol() const override {
    return std::make_unique<MusterProtocol>();
  }
  void wait_for_clients(std::size_t) override {}  // it knows a backend before it answers it
  void start_round() override { musterd_.send(start_frame_); }
  void take_acceptance() override { running_.push_back(musterd_.receive_acceptance()); }

  RoundTimes take_times(std::size_t count) override {
    RoundTimes times;
    for (const BroadcastId id : running_) {
      times.milliseconds.push_back(time_of(musterd_.report(id), count));
    }
    running_.clear();
    return times;
  }

  double operator_round(std::size_t count) override {
    const auto start = Clock::now();
    musterd_.send(finish_frame_);
    const std::string_view body = musterd_.receive();
    const double time = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    const wire::ControlResponse response = musterd_.decode(body);
    const auto* report = std::get_if<BroadcastReport>(&response);
    if (report == nullptr) throw std::runtime_error("musterd sent no report");
    time_of(*report, count);
    return time;
  }

 private:
  static double time_of(const BroadcastReport& report, std::size_t count) {
    if (report.result.acks.size() != count || report.backends.size() != count) {
      throw std::runtime_error("a round of " + std::to_string(count) + " had " +
                               std::to_string(report.result.acks.size()) + " acks of " +
                               std::to_string(report.backends.size()));
    }
    return std::chrono::duration<double, std::milli>(report.duration).count();
  }

  MusterdProcess musterd_;
  const std::string start_frame_ = start_frame(kAckTimeout, true);
  const std::string finish_frame_ = start_frame(kAckTimeout, false);
  std::vector<BroadcastId> running_;
};

}  // namespace

std::unique_ptr<Subject> start_musterd(const MusterdCommand& command,
                                       const std::filesystem::path& directory) {
  return std::make_unique<MusterdSubject>(command, directory);
}

}  // namespace muster::bench
