// Frames by Protobuf, right or wrong, and what a decoder says to them.
#pragma once

#include <cstdint>
#include <string>

#include "muster/v1/envelope.pb.h"

namespace muster::test {

inline constexpr auto kRequest = v1::FRAME_KIND_REQUEST;
inline constexpr auto kResponse = v1::FRAME_KIND_RESPONSE;
inline constexpr auto kEvent = v1::FRAME_KIND_EVENT;
inline constexpr auto kCancel = v1::FRAME_KIND_CANCEL;

inline v1::Frame frame_of(std::uint32_t lane, v1::FrameKind kind, const std::string& payload) {
  v1::Frame frame;
  frame.set_envelope_version(1);
  frame.set_kind(kind);
  frame.set_payload_protocol(lane);
  frame.set_payload(payload);
  frame.set_request_id(300);
  return frame;
}

// The sentence that a decoder refused with, or "taken".
inline std::string said(std::string problem) {
  return problem.empty() ? "taken" : std::move(problem);
}

}  // namespace muster::test
