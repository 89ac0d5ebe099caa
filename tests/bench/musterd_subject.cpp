// musterd as a subject: the real program, driven over its control lane.
#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "muster/socket_dir.h"

#include "bench/child.h"
#include "bench/frames.h"
#include "bench/subject.h"
#include "bench/unix_socket.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

wire::ControlRequestFrame start_request(std::uint64_t number, bool detach) {
  wire::StartBroadcast start;
  start.request.operation = BroadcastOperation::release_handles(std::string(kPath));
  start.request.ack_timeout = std::chrono::seconds(20);
  start.detach = detach;
  wire::ControlRequestFrame frame;
  frame.request_id = number;
  frame.message = std::move(start);
  return frame;
}

class MusterdSubject final : public Subject {
 public:
  MusterdSubject(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                 const std::filesystem::path& directory)
      : directory_(directory), log_(directory / "log") {
    std::vector<std::string> command{program, "--socket-dir", directory_};
    command.insert(command.end(), arguments.begin(), arguments.end());
    child_ = Child::run(command, log_);
    control_ = wait_until_it_listens();
    start_frame_ = wire::encode(start_request(1, true));
    finish_frame_ = wire::encode(start_request(1, false));
  }

  pid_t pid() const override { return child_.pid(); }
  std::filesystem::path socket() const override { return directory_ / kBackendSocketName; }
  void start_round() override { send_all(control_.get(), start_frame_); }

  void take_acceptance() override {
    receive_body();
    const auto response = decode();
    const auto* accepted = std::get_if<wire::BroadcastAccepted>(&response);
    if (accepted == nullptr) throw std::runtime_error("musterd did not accept a broadcast");
    running_.push_back(accepted->id);
  }

  std::vector<double> take_times(std::size_t count) override {
    std::vector<double> times;
    for (const BroadcastId id : running_) {
      wire::ControlRequestFrame request;
      request.request_id = 1;
      request.message = wire::GetReport{id, true};
      send_all(control_.get(), wire::encode(request));
      receive_body();
      times.push_back(time_of(decode(), count));
    }
    running_.clear();
    return times;
  }

  double operator_round(std::size_t count) override {
    const auto start = Clock::now();
    send_all(control_.get(), finish_frame_);
    receive_body();
    const double time = milliseconds_since(start);
    time_of(decode(), count);
    return time;
  }

 private:
  os::UniqueFd wait_until_it_listens() {
    const auto patience = Clock::now() + std::chrono::seconds(5);
    for (;;) {
      try {
        return connect_to(directory_ / kControlSocketName);
      } catch (const std::system_error& error) {
        if (!child_.is_running() || Clock::now() > patience) {
          std::ostringstream log;
          log << std::ifstream(log_).rdbuf();
          throw std::runtime_error("musterd did not start: " + log.str());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // it has no other sign
      }
    }
  }

  void receive_body() {
    std::array<char, wire::kHeaderBytes> header{};
    receive_all(control_.get(), header.data(), header.size());
    std::size_t length = 0;
    for (std::size_t i = 4; i >= 1; --i)
      length = length << 8 | static_cast<unsigned char>(header[i]);
    if (length > wire::kMaxControlBody) throw std::runtime_error("musterd's frame is too long");
    body_.resize(length);
    receive_all(control_.get(), body_.data(), body_.size());
  }

  wire::ControlResponse decode() {
    std::optional<wire::ControlAnswerFrame> frame;
    const std::string problem = decoder_.decode(body_, frame);
    if (!problem.empty()) throw std::runtime_error("musterd's answer: " + problem);
    auto* response = std::get_if<wire::ControlResponse>(&frame->message);
    if (response == nullptr) throw std::runtime_error("musterd sent an event instead of an answer");
    if (const auto* error = std::get_if<ControlError>(response)) {
      throw std::runtime_error("musterd refused: " + error->message);
    }
    return std::move(*response);
  }

  static double time_of(const wire::ControlResponse& response, std::size_t count) {
    const auto* report = std::get_if<BroadcastReport>(&response);
    if (report == nullptr) throw std::runtime_error("musterd sent no report");
    if (report->result.acks.size() != count || report->backends.size() != count) {
      throw std::runtime_error("a round of " + std::to_string(count) + " had " +
                               std::to_string(report->result.acks.size()) + " acks of " +
                               std::to_string(report->backends.size()));
    }
    return static_cast<double>(report->duration.count()) / 1e3;
  }

  std::filesystem::path directory_;
  std::filesystem::path log_;
  Child child_;
  os::UniqueFd control_;
  std::string start_frame_;
  std::string finish_frame_;
  std::string body_;
  wire::ControlAnswerDecoder decoder_;
  std::vector<BroadcastId> running_;
};

}  // namespace

std::unique_ptr<Subject> start_musterd(const std::filesystem::path& program,
                                       const std::vector<std::string>& arguments,
                                       const std::filesystem::path& directory) {
  return std::make_unique<MusterdSubject>(program, arguments, directory);
}

}  // namespace muster::bench
