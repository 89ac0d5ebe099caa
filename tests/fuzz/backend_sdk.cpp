// What a broker sends to the SDK: any bytes, connections that come and go, handlers that do all
// that handlers may do.
//
// Input: which handlers there are, then steps, each a byte that says which and what it needs.
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "broker/frame_splitter.h"
#include "fuzz/input.h"
#include "fuzz/sdk_port.h"
#include "fuzz/spoil.h"
#include "fuzz/targets.h"
#include "sdk/backend_core.h"
#include "support/direct_sink.h"

namespace muster::fuzz {
namespace {

using std::chrono::milliseconds;
using Timer = BackendPort::Timer;

constexpr std::size_t kSdkSteps = 300;
constexpr std::array kSdkTimes{milliseconds(0), milliseconds(1), milliseconds(700),
                               milliseconds(5'000), milliseconds(0xFFFF'FFFF)};

Registration registration() {
  Registration said;
  said.key.service_name = "zccache";
  said.key.service_version = "1.0.0";
  said.idle_timeout = milliseconds(1000);
  return said;
}

class SdkStage {
 public:
  explicit SdkStage(std::string_view bytes)
      : input_(bytes),
        sink_(std::make_shared<test::DirectSink<SdkPort>>(port_)),
        core_(registration(), Backoff(milliseconds(100), milliseconds(10'000), 1), port_, sink_,
              activity_) {
    sink_->core = &core_;
    port_.queue.set_handlers(handlers());
  }
  ~SdkStage() { sink_->core = nullptr; }
  SdkStage(const SdkStage&) = delete;
  SdkStage& operator=(const SdkStage&) = delete;

  void run() {
    for (std::size_t step = 0; !input_.empty() && step < kSdkSteps; ++step) {
      take_step();
      run_handlers();
      must_hold();
    }
    if (input_.choose(2) == 0) {
      port_.queue.close();
      (void)core_.last_words({});
      core_.end();
      return must_hold();
    }
    core_.deliver(StopAsked{milliseconds(0)});
    port_.promise(port_.state == ConnectionState::kStopped && !port_.connected, "stop ends it");
    for (const auto& timer : port_.armed) port_.promise(!timer, "stop leaves nothing armed");
    port_.promise(!core_.is_held("/cache") && !core_.is_held("/alias/x"), "stop ends all holds");
    must_hold();
  }

 private:
  void must_hold() const {
    if (port_.broken != nullptr) throw Broken(port_.broken);
  }

  BackendHandlers handlers() {
    BackendHandlers all;
    const auto missing = input_.byte();
    const auto operation = [this](Request& request) {
      port_.promise(!request.is_preflight(), "a preflight reaches no handler of an operation");
      handle(request);
    };
    if ((missing & 4U) == 0) {
      all.on(OperationKind::kPreflight) = [this](Request& request) {
        port_.promise(request.is_preflight(), "an operation reaches no handler of preflights");
        handle(request);
      };
    }
    if ((missing & 1U) == 0) all.on(OperationKind::kReleaseHandles) = operation;
    if ((missing & 2U) == 0) all.on(OperationKind::kQuiesce) = operation;
    all.cancel = [this](BroadcastId) { meddle(); };
    all.state = [this](const StateChange&) { meddle(); };
    all.active_holds = [this](const std::vector<ActiveHold>&) { meddle(); };
    all.hold_started = [this](const ActiveHold& hold) {
      port_.promise(held_.insert(hold.id).second, "a hold begins once before it ends");
      meddle();
    };
    all.hold_ended = [this](const HoldEnded& ended) {
      held_.erase(ended.hold_id);
      throw std::runtime_error("a listener that fails");
    };
    return all;
  }

  // What a handler may do besides.
  void meddle() {
    switch (input_.choose(8)) {
      case 0:
        return core_.deliver(StopAsked{kSdkTimes[input_.choose(kSdkTimes.size())]});
      case 1:
        return pending_.clear();
      case 2:
        throw std::runtime_error("a handler that fails");
      default:
        return;
    }
  }

  void handle(Request& request) {
    port_.promise(!request.cancelled(), "no handler sees a request whose time is over");
    port_.promise(handled_.insert(request.broadcast_id()).second,
                  "an id is handed to its handler once in an epoch");
    (void)request.covers("/cache/x");
    (void)request.deadline();
    switch (input_.choose(8)) {
      case 0:
        return request.reject(std::string(input_.bytes(input_.byte())));
      case 1:
        throw std::runtime_error(std::string(input_.bytes(input_.byte())));
      case 2:
        throw 1;
      case 3:
      case 4:
        pending_.push_back(request.defer());
        return;
      case 5:
        (void)request.defer();
        return;
      case 6:
        request.working(kSdkTimes[input_.choose(kSdkTimes.size())], std::string(input_.bytes(20)),
                        input_.byte());
        return meddle();
      default:
        return;
    }
  }

  // What was asked before is asked no more, and ids may come again: another epoch, or another
  // backend has the key.
  bool begins_anew(const wire::BrokerFrame& frame) {
    const auto* refusal = std::get_if<Refusal>(&frame.message);
    if (refusal != nullptr) return refusal->code == RefusalCode::kReplaced;
    const auto* said = std::get_if<Registered>(&frame.message);
    if (said == nullptr || port_.registered || said->protocol != 1) return false;
    return std::exchange(epoch_, said->epoch) != said->epoch || said->epoch.empty();
  }

  // Busy ones get to it later.
  void run_handlers() {
    port_.queue.publish();
    if (handlers_are_busy_) return;
    while (port_.queue.run_one()) port_.queue.publish();
  }

  void bytes(std::string_view stream) {
    if (!port_.connected) return;
    wire::BrokerFrame frame;
    auto partial = std::move(port_.partial);
    const auto problem =
        broker::split_frames(partial, stream, wire::kMaxBackendBody, [&](std::string_view body) {
          auto wrong = decoder_.decode(body, frame);
          if (wrong.empty()) {
            const bool new_broker = begins_anew(frame);
            core_.received(frame);
            if (new_broker && (port_.registered || !port_.connected)) handled_.clear();
          } else {
            core_.malformed(wrong);
          }
          return port_.connected;
        });
    if (!problem.empty() && port_.connected) return core_.malformed(problem);
    if (port_.connected) port_.partial = std::move(partial);
  }

  std::string message() {
    const BroadcastId id = input_.choose(6);
    switch (input_.choose(7)) {
      case 0:
      case 1: {
        Registered said;
        said.incarnation = id;
        said.protocol = input_.choose(16) == 0 ? 2 : 1;
        said.limits.max_ack_timeout = kSdkTimes[input_.choose(kSdkTimes.size())];
        if (input_.choose(2) == 0) said.active_holds.push_back({1, "/cache", 1, {}});
        if (input_.choose(4) == 0) said.active_holds.push_back({id, {}, 0, "/alias"});
        switch (input_.choose(4)) {
          case 0:
            break;  // a broker that names none
          case 1:
            said.epoch = std::string(16, 'b');
            break;
          default:
            said.epoch = std::string(16, 'a');
        }
        return wire::encode(1, said);
      }
      case 2:
      case 3: {
        OutgoingOperation said;
        said.broadcast_id = id;
        switch (input_.choose(4)) {
          case 0:
          case 1:
            said.operation = BroadcastOperation::release_handles("/cache");
            break;
          case 2:
            said.operation = BroadcastOperation::quiesce(QuiesceReason(input_.choose(3)));
            break;
          default:
            break;
        }
        said.ack_timeout = kSdkTimes[input_.choose(kSdkTimes.size())];
        said.deadline_unix_ms = input_.choose(3) == 0 ? 0 : port_.now_unix_ms();
        const auto more = input_.choose(3);
        if (more == 0) said.hold_id = id;
        if (more == 2) said.operation = BroadcastOperation::preflight_of(said.operation);
        return wire::encode(said);
      }
      case 4:
        return wire::encode_cancel(wire::kBackendLane, id);
      case 5:
        return wire::encode(1,
                            Refusal{static_cast<RefusalCode>(input_.choose(7)),
                                    std::string(input_.bytes(input_.byte())),
                                    kSdkTimes[input_.choose(kSdkTimes.size())]},
                            input_.choose(2) == 0);
      default:
        return input_.choose(2) == 0 ? wire::encode(id, wire::Deregistered{})
                                     : wire::encode(HoldEnded{id, HoldEnd::kExpired});
    }
  }

  void fire(Timer timer) {
    auto& slot = port_.armed[static_cast<std::size_t>(timer)];
    if (!slot) return;
    port_.time += *std::exchange(slot, std::nullopt);
    core_.timer_fired(timer);
  }

  void take_step() {
    switch (input_.choose(16)) {
      case 0:
        return core_.deliver(StartAsked{});
      case 1:
        return bytes(input_.text());
      case 2:
        return bytes(framed(input_.text()));
      case 3:
      case 4:
      case 5:
        return bytes(message());
      case 6: {
        auto frame = message();
        return bytes(spoiled(std::move(frame), input_));
      }
      case 7:
        if (!std::exchange(port_.connected, false)) return;
        return core_.disconnected("gone");
      case 8:
        return fire(Timer(input_.choose(BackendPort::kTimers)));
      case 9:
        if (activity_.raise()) core_.deliver(ActivitySeen{});
        return;
      case 10:
        port_.broker_there = input_.choose(4) != 0;
        return;
      case 11:
        return answer();
      case 12:
        port_.time += kSdkTimes[input_.choose(4)];
        return;
      case 13:
        handlers_are_busy_ = input_.choose(2) == 0;
        return;
      case 14:
        port_.newer_backend_there = input_.choose(2) == 0;
        port_.broker_reads_not = input_.choose(2) == 0;
        if (!port_.broker_reads_not) core_.drained();
        return;
      default:
        if (input_.choose(8) == 0) return core_.deliver(StopAsked{milliseconds(input_.byte())});
        return core_.broke_down("out of memory");
    }
  }

  // One that was deferred.
  void answer() {
    if (pending_.empty()) return;
    auto one = std::move(pending_.back());
    pending_.pop_back();
    switch (input_.choose(4)) {
      case 0:
        return one.fail(std::string(input_.bytes(input_.byte())));
      case 1:
        one.working(kSdkTimes[input_.choose(kSdkTimes.size())]);
        return;
      default:
        return one.ack();
    }
  }

  Input input_;
  SdkPort port_;
  ActivityFlag activity_;
  std::shared_ptr<test::DirectSink<SdkPort>> sink_;
  BackendCore core_;
  wire::BrokerFrameDecoder decoder_;
  bool handlers_are_busy_ = false;
  std::string epoch_;
  std::set<BroadcastId> handled_;  // in the broker's epoch
  std::set<HoldId> held_;          // as its handlers were told
  std::vector<PendingAnswer> pending_;
};

}  // namespace

void backend_sdk(std::string_view input) { SdkStage(input).run(); }

}  // namespace muster::fuzz
