// ZMTP 3.0 (RFC 23): a greeting of 64 bytes, a READY command, then frames as
// [flags][length, 1 or 8 bytes][body]. A message here is one frame.
#include <algorithm>

#include "bench/peers/protocols.h"

namespace muster::bench {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kGreetingBytes = 64;
constexpr unsigned kMore = 1;
constexpr unsigned kLong = 2;
constexpr unsigned kCommand = 4;

std::string greeting() {
  std::string bytes("\xFF\0\0\0\0\0\0\0\x01\x7F"sv);  // signature
  bytes += "\x03\0"sv;                                // version
  bytes += "NULL"sv;                                  // mechanism, 20 bytes; then zeros
  bytes.resize(kGreetingBytes);
  return bytes;
}

std::string frame(unsigned flags, std::string_view body) {
  std::string bytes;
  bytes += static_cast<char>(flags);
  bytes += static_cast<char>(body.size());
  bytes += body;
  return bytes;
}

}  // namespace

std::string ZmtpProtocol::hello(std::size_t) const {
  // The length of "DEALER" is not to be read as one hexadecimal number with its first letters.
  constexpr std::string_view kReady =
      "\x05READY\x0BSocket-Type\0\0\0\x06"
      "DEALER"sv;
  return greeting() + frame(kCommand, kReady);
}

std::string ZmtpProtocol::more(std::size_t client) const {
  return frame(0, registration_frame(client));
}

Seen ZmtpProtocol::see(std::string_view input, bool greeted) const noexcept {
  Seen seen;
  if (!greeted) {
    if (input.size() < kGreetingBytes) return seen;
    return {Seen::Kind::kOther, kGreetingBytes};
  }
  if (input.size() < 2) return seen;
  const auto flags = static_cast<unsigned char>(input[0]);
  // Nothing here is longer than 255 bytes or in several frames.
  if ((flags & (kMore | kLong)) != 0) return {Seen::Kind::kBad};
  const std::size_t length = static_cast<unsigned char>(input[1]);
  if (input.size() - 2 < length) return seen;
  seen.kind = Seen::Kind::kGreeting;  // READY, the only command here
  if ((flags & kCommand) == 0) seen = see_frame(input.substr(2, length));
  seen.bytes = 2 + length;
  return seen;
}

std::string_view ZmtpProtocol::answer(const Seen& operation, std::size_t) noexcept {
  const std::string_view ack = acks_.write(operation.request_id);
  message_[1] = static_cast<char>(ack.size());
  std::copy(ack.begin(), ack.end(), message_.begin() + 2);
  return {message_.data(), 2 + ack.size()};
}

}  // namespace muster::bench
