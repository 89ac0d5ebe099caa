#include "fake_backend/garbage.h"

#include <algorithm>
#include <array>

#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::fake {
namespace {

constexpr std::array<std::string_view, 11> kKinds{"bytes", "framing", "body",    "length",
                                                  "huge",  "lane",    "version", "encoding",
                                                  "kind",  "message", "register"};

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_field(std::string& out, unsigned number, std::uint64_t value) {
  put_varint(out, number << 3);
  put_varint(out, value);
}

// An ack's envelope, field by field, so that each can be wrong.
struct Envelope {
  std::uint64_t version = 1;
  std::uint64_t kind = 1;  // RESPONSE
  std::uint64_t lane = wire::kBackendLane;
  std::string payload = std::string("\x12\x00", 2);  // BackendMessage{ack{}}
  std::uint64_t encoding = 0;
};

std::string header(std::uint8_t framing_version, std::uint32_t length) {
  std::string out(1, static_cast<char>(framing_version));
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(length >> shift));
  return out;
}

std::string frame(const Envelope& envelope, std::uint64_t request_id) {
  std::string body;
  put_field(body, 1, envelope.version);
  put_field(body, 2, envelope.kind);
  put_field(body, 3, envelope.lane);
  put_varint(body, (4 << 3) | 2);
  put_varint(body, envelope.payload.size());
  body += envelope.payload;
  put_field(body, 5, request_id);
  put_field(body, 6, envelope.encoding);
  return header(wire::kFramingVersion, static_cast<std::uint32_t>(body.size())) + body;
}

}  // namespace

bool is_garbage_kind(std::string_view kind) {
  return std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
}

std::string garbage(std::string_view kind, std::uint64_t request_id,
                    const std::string& registration) {
  Envelope envelope;
  if (kind == "framing") {
    std::string out = frame(envelope, request_id);
    out[0] = 2;
    return out;
  }
  if (kind == "body") return header(wire::kFramingVersion, 16) + std::string(16, '\xFF');
  if (kind == "length") {
    return header(wire::kFramingVersion, static_cast<std::uint32_t>(wire::kMaxBackendBody + 1));
  }
  if (kind == "huge") return header(wire::kFramingVersion, 0xFFFFFFFF);
  if (kind == "register") return registration;
  if (kind == "bytes") return "these are no frames, whatever one makes of their beginning\n";

  if (kind == "lane") envelope.lane = 0xFB02;
  if (kind == "version") envelope.version = 2;
  if (kind == "encoding") envelope.encoding = 1;
  if (kind == "kind") envelope.kind = 0;
  if (kind == "message") envelope.payload.clear();
  return frame(envelope, request_id);
}

}  // namespace muster::fake
