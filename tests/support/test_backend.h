// A backend that a test plays by hand: a raw socket that speaks the backend lane, good or bad.
//
// What it hears comes as text, so that a test compares whole conversations:
//   "registered", "operation 3: release-handles /cache", "cancel 3", "deregistered",
//   "refused (protocol): <sentence>", "hold 5 ended", "garbage: <why>",
//   "end of stream", "reset", "nothing" (for ten seconds).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "muster/registration.h"

#include "os/unique_fd.h"
#include "support/key_of.h"
#include "wire/backend_lane.h"

namespace muster::test {

inline constexpr std::chrono::seconds kPatience{10};

// A connected stream socket; throws when nobody listens.
[[nodiscard]] os::UniqueFd connect_unix(const std::filesystem::path& path);

[[nodiscard]] Registration registration_of(std::string service);

class TestBackend {
 public:
  // Lets the broker work; false when nothing happened for kPatience. Empty: the broker runs by
  // itself (in another process), so wait for the socket.
  using Pump = std::function<bool()>;

  explicit TestBackend(const std::filesystem::path& socket, Pump pump = {});
  TestBackend(TestBackend&&) = default;
  TestBackend& operator=(TestBackend&&) = default;

  // All of it, pumping while the socket takes no more. False when the broker closed it.
  bool send(std::string_view bytes);
  void registers(const Registration& registration, std::uint64_t request_id = 1);
  void registers(std::string service) { registers(registration_of(std::move(service))); }
  void acks(BroadcastId id);
  void fails(BroadcastId id, BroadcastFailureReason reason, std::string detail);
  void works(BroadcastId id, std::chrono::milliseconds extend, std::string note = {});
  void is_active();
  void deregisters(std::uint64_t request_id);

  // Waits for the next message.
  std::string hears();
  // The next message if it is here already, else "nothing".
  std::string has_heard();
  // What hears() told last.
  [[nodiscard]] const wire::BrokerFrame& last() const noexcept { return frame_; }

  void closes() { socket_.reset(); }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  bool take_frame(std::string& text);
  // Waits until the socket may be read from, or may take more.
  bool pump(short events);

  os::UniqueFd socket_;
  Pump pump_;
  std::string received_;
  std::unique_ptr<wire::BrokerFrameDecoder> decoder_;
  wire::BrokerFrame frame_;
};

}  // namespace muster::test
