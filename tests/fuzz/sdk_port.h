// What stands around the SDK's core while it is fuzzed, and holds it to its promises.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "broker/frame_splitter.h"
#include "sdk/backend_core.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::fuzz {

// The backend's surroundings; holds the core to what sdk/backend_core.h promises.
class SdkPort final : public BackendPort {
 public:
  // The core catches what handlers throw, so a broken promise is kept until the step is over.
  void promise(bool holds, const char* what) noexcept {
    if (!holds && broken == nullptr) broken = what;
  }
  std::string connect() override {
    promise(!connected, "a backend has one connection");
    if (!broker_there) return "nobody is there";
    connected = true;
    registered = false;
    first = true;
    answered.clear();
    partial.reset();
    return {};
  }
  void send(const wire::BackendFrame& frame) override {
    promise(connected, "nothing is sent without a connection");
    promise(std::exchange(first, false) == std::holds_alternative<Registration>(frame.message),
            "a connection begins with Register, and has one");
    const bool is_answer = std::holds_alternative<Ack>(frame.message) ||
                           std::holds_alternative<Failure>(frame.message);
    promise(!is_answer || registered, "no answer is sent before Registered");
    promise(!is_answer || answered.insert(frame.request_id).second,
            "no answer is sent twice on a connection");
    must_be_read(frame);
  }
  void disconnect() override { connected = false; }
  void arm(Timer timer, std::chrono::milliseconds delay) override {
    promise(delay.count() >= 0, "no timer goes back");
    armed[static_cast<std::size_t>(timer)] = delay;
  }
  void disarm(Timer timer) override { armed[static_cast<std::size_t>(timer)].reset(); }
  [[nodiscard]] std::chrono::steady_clock::time_point now() const override { return time; }
  [[nodiscard]] std::uint64_t now_unix_ms() const override {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
  }
  [[nodiscard]] bool blocked() const override { return broker_reads_not; }
  [[nodiscard]] bool superseded() const override { return newer_backend_there; }
  [[nodiscard]] bool handles(OperationKind operation) const override {
    return queue.handles(operation);
  }
  [[nodiscard]] bool call(HandlerCall call) override { return queue.push(std::move(call)); }
  bool withdraw(RequestSerial serial) noexcept override { return queue.withdraw(serial); }
  void state_changed(ConnectionState now_in) override {
    state = now_in;
    registered = registered || now_in == ConnectionState::kRegistered;
  }

  HandlerQueue queue;
  const char* broken = nullptr;
  bool broker_reads_not = false;
  bool newer_backend_there = false;
  bool broker_there = true;
  bool connected = false;
  bool registered = false;  // on this connection
  bool first = false;
  std::set<BroadcastId> answered;  // on this connection
  broker::PartialFrame partial;
  std::array<std::optional<std::chrono::milliseconds>, kTimers> armed;
  std::chrono::steady_clock::time_point time{std::chrono::hours(1000)};
  ConnectionState state = ConnectionState::kConnecting;

 private:
  // By the broker.
  void must_be_read(const wire::BackendFrame& frame) {
    const auto bytes = std::visit(
        [&](const auto& message) -> std::string {
          if constexpr (std::is_same_v<std::decay_t<decltype(message)>, Registration>) {
            return wire::encode(frame.request_id, message, frame.refused_before);
          } else if constexpr (requires { wire::encode(frame.request_id, message); }) {
            return wire::encode(frame.request_id, message);
          } else {
            return wire::encode_cancel(wire::kBackendLane, frame.request_id);
          }
        },
        frame.message);
    const auto view = wire::next_frame(bytes, wire::kMaxBackendBody);
    promise(view.status == wire::FrameView::Status::kComplete,
            "a backend keeps to the lane's limit");
    promise(decoder_.decode(view.body, heard_).empty(),
            "what a backend sends is what brokers read");
  }

  wire::BackendFrameDecoder decoder_;
  wire::BackendFrame heard_;
};

}  // namespace muster::fuzz
