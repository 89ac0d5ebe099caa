// The backend lane (0xFB01): frames to values and back.
//
// Decoders keep their Protobuf objects from one message to the next, so each belongs to one
// thread. They accept unknown fields and refuse everything else that the wire does not allow, with
// a sentence: nothing throws on any input.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "muster/registration.h"

namespace muster::wire {

inline constexpr std::uint32_t kBackendLane = 0xFB01;

// "Nobody waits any more for this request id."
struct Cancel {
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct Deregistered {
  friend bool operator==(const Deregistered&, const Deregistered&) = default;
};

// What a newer broker tells and this version does not know.
struct UnknownMessage {
  friend bool operator==(const UnknownMessage&, const UnknownMessage&) = default;
};

// What a backend sends.
struct BackendFrame {
  std::uint64_t request_id = 0;
  std::variant<Ack, Failure, Working, Activity, Registration, Deregister, Cancel> message;
  // Of a Registration: how many connections of this backend the broker refused before it knew its
  // key. Nothing: the backend does not say.
  std::optional<std::uint32_t> refused_before = std::nullopt;
};

// What the broker sends.
struct BrokerFrame {
  std::uint64_t request_id = 0;
  std::variant<OutgoingOperation, Cancel, Registered, Refusal, HoldEnded, Deregistered,
               UnknownMessage>
      message;
};

// The broker's side.
class BackendFrameDecoder {
 public:
  BackendFrameDecoder();
  ~BackendFrameDecoder();
  BackendFrameDecoder(const BackendFrameDecoder&) = delete;
  BackendFrameDecoder& operator=(const BackendFrameDecoder&) = delete;

  // Decodes a frame's body into `out`. Empty when it went well; else the sentence to refuse with.
  // Checks the form (envelope version, lane, encoding, kind, known message, enums, durations that
  // fit), not the meaning: Registration::problem() is the core's to ask.
  [[nodiscard]] std::string decode(std::string_view body, BackendFrame& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// The backend's side.
class BrokerFrameDecoder {
 public:
  BrokerFrameDecoder();
  ~BrokerFrameDecoder();
  BrokerFrameDecoder(const BrokerFrameDecoder&) = delete;
  BrokerFrameDecoder& operator=(const BrokerFrameDecoder&) = delete;

  [[nodiscard]] std::string decode(std::string_view body, BrokerFrame& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// Each returns a whole frame, header included. Texts over their limits are cut at a character's
// beginning; bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string encode(std::uint64_t request_id, const Registration& message,
                                 std::optional<std::uint32_t> refused_before = std::nullopt);
[[nodiscard]] std::string encode(std::uint64_t request_id, const Ack& message);
[[nodiscard]] std::string encode(std::uint64_t request_id, const Failure& message);
[[nodiscard]] std::string encode(std::uint64_t request_id, const Working& message);
[[nodiscard]] std::string encode(std::uint64_t request_id, const Activity& message);
[[nodiscard]] std::string encode(std::uint64_t request_id, const Deregister& message);

[[nodiscard]] std::string encode(std::uint64_t request_id, const Registered& message);
// `answers_a_request`: a RESPONSE to Register, else an EVENT that ends a registered connection.
[[nodiscard]] std::string encode(std::uint64_t request_id, const Refusal& message,
                                 bool answers_a_request);
// The request id is the broadcast's.
[[nodiscard]] std::string encode(const OutgoingOperation& message);
[[nodiscard]] std::string encode(const HoldEnded& message);
[[nodiscard]] std::string encode(std::uint64_t request_id, const Deregistered& message);
[[nodiscard]] std::string encode_cancel(std::uint32_t lane, std::uint64_t request_id);

}  // namespace muster::wire
