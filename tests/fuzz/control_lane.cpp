// The control lane: real sessions of a real control plane on real sockets, with backends beside
// them, driven by polling the loop.
//
// Input: how large queues are, then steps, each a byte that says which and what it needs.
#include "wire/control_lane.h"

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <spdlog/sinks/null_sink.h>

#include "fuzz/input.h"
#include "fuzz/rules.h"
#include "fuzz/spoil.h"
#include "fuzz/targets.h"
#include "fuzz/unix_sockets.h"
#include "musterd/control/control_plane.h"
#include "musterd/service/event_fanout.h"
#include "wire/framing.h"

namespace muster::fuzz {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kControlSteps = 100;
constexpr std::size_t kMaxPeers = 6;

// What the operator at the other end knows.
class Operator {
 public:
  explicit Operator(os::UniqueFd socket) : socket_(std::move(socket)) {}

  // `known`: what is sent is a request that is good, with this number.
  void send(std::string_view bytes, std::optional<std::uint64_t> known) {
    if (!socket_) return;
    if (known && is_good_) ++asked_[*known % asked_.size()];
    if (!known) is_good_ = false;
    send_all(socket_, bytes);
  }
  void half_close() {
    if (socket_) ::shutdown(socket_.get(), SHUT_WR);
  }
  void close() { socket_.reset(); }

  void read() {
    if (!socket_ || !receive_all(socket_, received_)) return;
    for (;;) {
      const auto view = wire::next_frame(received_, wire::kMaxControlBody);
      must(view.status != wire::FrameView::Status::kBad, "the broker sends frames");
      if (view.status == wire::FrameView::Status::kIncomplete) return;
      std::optional<wire::ControlAnswerFrame> frame;
      must(decoder_.decode(view.body, frame).empty(), "what the broker answers is read");
      received_.erase(0, view.bytes);
      if (is_good_) hear(*frame);
    }
  }

 private:
  // Each request has one answer; number 0 is for what cannot be told apart.
  void hear(const wire::ControlAnswerFrame& frame) {
    if (!std::holds_alternative<wire::ControlResponse>(frame.message) || frame.request_id == 0) {
      return;
    }
    auto& asked = asked_[frame.request_id % asked_.size()];
    must(asked > 0, "an answer has a request");
    --asked;
  }

  os::UniqueFd socket_;
  std::string received_;
  wire::ControlAnswerDecoder decoder_;
  bool is_good_ = true;  // so far it kept to the protocol
  std::array<int, 8> asked_{};
};

class ControlStage {
 public:
  explicit ControlStage(std::string_view bytes)
      : input_(bytes),
        settings_(settings()),
        control_(context_.get_executor(), settings_, facts(), log_) {
    broker::ServerOptions options;
    options.transport = "epoll";  // a new io_uring for each input would be most of the work
    options.core.ack_timeout = std::chrono::hours(1);
    options.core.max_ack_timeout = std::chrono::hours(1);
    options.core.register_timeout = std::chrono::hours(1);
    options.core.reconnect_grace = milliseconds(0);
    if (is_tight_) options.core.quotas.each = {2, 1, 2'000, 1};
    options.next_broadcast_id = [this] { return ++last_id_; };
    server_.emplace(context_, std::move(options), fanout_);
    control_.serve(*server_);
    server_->listen(sockets_.listen(Lane::kBackend));
    control_.listen(sockets_.listen(Lane::kControl));
  }

  void run() {
    for (std::size_t step = 0; !input_.empty() && step < kControlSteps; ++step) {
      take_step();
      settle();
      for (auto& one : operators_) {
        if (reading_) one.read();
      }
    }
    wind_down();
  }

 private:
  daemon::ControlSettings settings() {
    daemon::ControlSettings settings;
    const auto choice = input_.byte();
    if ((choice & 1U) != 0) settings.connections = 2;
    if ((choice & 2U) != 0) settings.event_queue = 256;
    settings.linger = milliseconds(1);
    reading_ = (choice & 4U) == 0;
    is_tight_ = (choice & 8U) != 0;
    has_policy_ = (choice & 16U) != 0;
    return settings;
  }
  daemon::ControlFacts facts() {
    daemon::ControlFacts facts{"1", "/s", 1};
    if (has_policy_) facts.policy = std::make_shared<const core::AccessPolicy>(rules(input_));
    return facts;
  }

  void settle() {
    while (context_.poll() > 0) {
    }
  }

  void wind_down() {
    memory_.stop();  // it waits for real time
    shut_down();
    server_->shut_down({});
    settle();
    for (auto& one : operators_) {
      one.read();
      one.close();
    }
    backends_.clear();
    context_.restart();
    context_.run_for(std::chrono::seconds(20));
    must(context_.stopped(), "in the end nothing keeps the loop running");
    must(control_.session_count() == 0, "in the end no session is left");
    must(!control_.wants_every_outcome(), "in the end nobody follows");
    must(server_->connection_count() == 0, "in the end no backend is connected");
  }

  void shut_down() {
    if (std::exchange(shutting_down_, true)) return;
    server_->shut_down([this] { asio::post(context_, [this] { control_.shut_down(); }); });
  }

  // --- steps

  wire::StartBroadcast start_request() {
    wire::StartBroadcast start;
    start.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    const auto more = input_.byte();
    start.detach = (more & 1U) != 0;
    start.dry_run = (more & 6U) == 6U;
    start.events = (more & 8U) != 0;
    if ((more & 16U) != 0) start.request.operation_key = "k";
    if ((more & 32U) != 0) {
      start.request.operation = BroadcastOperation::release_handles(std::string(input_.text()));
    }
    if ((more & 64U) != 0) {
      const auto text = std::string(input_.bytes(input_.byte()));
      start.request.selection.push_back(Selector::parse(text).selector);
    }
    if ((more & 128U) != 0) {
      start.request.operation = BroadcastOperation::preflight_of(start.request.operation);
    }
    return start;
  }

  wire::ControlRequestFrame request() {
    wire::ControlRequestFrame frame;
    frame.request_id = input_.choose(7);
    switch (input_.choose(10)) {
      case 0:
        frame.message = wire::Ping{};
        break;
      case 1:
        frame.message = wire::GetReport{last_id_ + 1 - input_.choose(3), input_.choose(2) == 0};
        break;
      case 2:
        frame.message = wire::CancelBroadcast{last_id_ + 1 - input_.choose(3)};
        break;
      case 3:
        frame.message = wire::ListBackends{};
        break;
      case 4:
        frame.message = wire::GetStatus{};
        break;
      case 5:
        frame.message = wire::Watch{};
        break;
      case 6:
        frame.message = wire::Cancel{};
        break;
      case 7:
        frame.message = policy_question(input_);
        break;
      default:
        frame.message = start_request();
    }
    return frame;
  }

  void operator_sends(Operator& one) {
    switch (input_.choose(6)) {
      case 0:
        return one.send(input_.text(), std::nullopt);
      case 1:
        return one.send(framed(input_.text()), std::nullopt);
      case 2:
        return one.send(spoiled(wire::encode(request()), input_), std::nullopt);
      default: {
        const auto frame = request();
        return one.send(wire::encode(frame), frame.request_id);
      }
    }
  }

  void backend_sends(os::UniqueFd& one) {
    switch (input_.choose(6)) {
      case 0: {
        Registration said;
        said.key.service_name = std::string(1, static_cast<char>('a' + input_.choose(3)));
        said.key.service_version = "1.0.0";
        return send_all(one, wire::encode(1, said));
      }
      case 1:
        return send_all(one, framed(input_.text()));
      case 2:
        return send_all(one, wire::encode(last_id_, Working{milliseconds(5), {}, "n"}));
      case 3:
        return send_all(one, wire::encode(last_id_, Failure{{}, std::string(input_.text())}));
      default:
        return send_all(one, wire::encode(last_id_ - input_.choose(2), Ack{}));
    }
  }

  void take_step() {
    const auto kind = input_.choose(12);
    const auto which = input_.byte();
    if (kind == 0 && operators_.size() < kMaxPeers) {
      operators_.emplace_back(sockets_.connect(Lane::kControl));
    } else if (kind == 1 && backends_.size() < kMaxPeers) {
      backends_.push_back(sockets_.connect(Lane::kBackend));
    } else if (kind <= 6 && !operators_.empty()) {
      operator_sends(operators_[which % operators_.size()]);
    } else if (kind <= 9 && !backends_.empty()) {
      backend_sends(backends_[which % backends_.size()]);
    } else if (kind == 10 && !operators_.empty()) {
      auto& one = operators_[which % operators_.size()];
      input_.choose(2) == 0 ? one.close() : one.half_close();
    } else if (kind == 11 && input_.choose(4) == 0) {
      shut_down();
    } else if (!backends_.empty()) {
      backends_[which % backends_.size()].reset();
    }
  }

  Input input_;
  UnixSockets sockets_;
  asio::io_context context_;
  daemon::Log log_{
      std::make_shared<spdlog::sinks::null_sink_mt>(), {}, daemon::Log::Reader::kJournal};
  bool reading_ = true;
  bool is_tight_ = false;
  bool has_policy_ = false;
  daemon::ControlSettings settings_;
  daemon::ControlPlane control_;
  daemon::MemoryTrim memory_{context_.get_executor()};
  daemon::EventFanout fanout_{log_, control_, memory_};
  std::optional<broker::BrokerServer> server_;
  std::deque<Operator> operators_;
  std::vector<os::UniqueFd> backends_;
  BroadcastId last_id_ = 1;
  bool shutting_down_ = false;
};

}  // namespace

void control_lane(std::string_view input) {
  const int before = lowest_free_descriptor();
  ControlStage(input).run();
  must(lowest_free_descriptor() == before, "in the end no descriptor is left open");
}

}  // namespace muster::fuzz
