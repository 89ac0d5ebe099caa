#include "wire/framing.h"

namespace muster::wire {
namespace {

FrameView bad(std::string problem) {
  FrameView view;
  view.status = FrameView::Status::kBad;
  view.problem = std::move(problem);
  return view;
}

std::size_t body_length(std::string_view header) noexcept {
  std::size_t length = 0;
  for (std::size_t i = kHeaderBytes - 1; i >= 1; --i) {
    length = length << 8 | static_cast<unsigned char>(header[i]);
  }
  return length;
}

}  // namespace

FrameView next_frame(std::string_view input, std::size_t max_body) {
  FrameView view;
  view.bytes = kHeaderBytes;
  if (input.empty()) return view;
  const auto version = static_cast<unsigned char>(input[0]);
  if (version != kFramingVersion) {
    return bad("framing version " + std::to_string(version) +
               " is not known: every message begins with the byte " +
               std::to_string(kFramingVersion));
  }
  if (input.size() < kHeaderBytes) return view;
  const std::size_t length = body_length(input);
  if (length > max_body) {
    return bad("a body of " + std::to_string(length) + " bytes is over the limit of " +
               std::to_string(max_body));
  }
  view.bytes = kHeaderBytes + length;
  if (input.size() < view.bytes) return view;
  view.status = FrameView::Status::kComplete;
  view.body = input.substr(kHeaderBytes, length);
  return view;
}

void put_header(char* out, std::size_t body_bytes) noexcept {
  out[0] = static_cast<char>(kFramingVersion);
  for (std::size_t i = 1; i < kHeaderBytes; ++i) {
    out[i] = static_cast<char>(body_bytes & 0xFF);
    body_bytes >>= 8;
  }
}

}  // namespace muster::wire
