// The Scalability Protocols' SURVEY over nng's ipc transport: 8 bytes at the beginning, either way;
// then each message as [1][u64 big-endian length][survey id, 4 bytes][payload].
#include <algorithm>

#include "bench/peers/protocols.h"

namespace muster::bench {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kRespondent = "\0SP\0\0\x63\0\0"sv;
constexpr std::string_view kSurveyor = "\0SP\0\0\x62\0\0"sv;
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kIdBytes = 4;
constexpr std::size_t kHeadBytes = 1 + kLengthBytes + kIdBytes;

}  // namespace

std::string SpProtocol::hello(std::size_t) const { return std::string(kRespondent); }

Seen SpProtocol::see(std::string_view input, bool greeted) const noexcept {
  Seen seen;
  if (!greeted) {
    if (input.size() < kSurveyor.size()) return seen;
    if (!input.starts_with(kSurveyor)) return {Seen::Kind::kBad};
    return {Seen::Kind::kRegistered, kSurveyor.size()};
  }
  if (input.size() < kHeadBytes) return seen;
  std::uint64_t length = 0;
  for (const char byte : input.substr(1, kLengthBytes)) {
    length = length << 8 | static_cast<unsigned char>(byte);
  }
  if (input[0] != 1 || length < kIdBytes) return {Seen::Kind::kBad};
  if (input.size() - 1 - kLengthBytes < length) return seen;

  seen = see_frame(input.substr(kHeadBytes, static_cast<std::size_t>(length) - kIdBytes));
  // What is answered is the survey.
  seen.request_id = 0;
  for (const char byte : input.substr(1 + kLengthBytes, kIdBytes)) {
    seen.request_id = seen.request_id << 8 | static_cast<unsigned char>(byte);
  }
  seen.bytes = 1 + kLengthBytes + static_cast<std::size_t>(length);
  return seen;
}

std::string_view SpProtocol::answer(const Seen& operation, std::size_t) noexcept {
  const std::string_view ack = acks_.write(kSampleId);
  message_[0] = 1;
  message_[kLengthBytes] = static_cast<char>(kIdBytes + ack.size());
  for (std::size_t i = 0; i < kIdBytes; ++i) {
    message_[1 + kLengthBytes + i] =
        static_cast<char>(operation.request_id >> 8 * (kIdBytes - 1 - i));
  }
  std::copy(ack.begin(), ack.end(), message_.begin() + kHeadBytes);
  return {message_.data(), kHeadBytes + ack.size()};
}

}  // namespace muster::bench
