// Cuts a stream of bytes into frames, in place where it can.
//
// Frames that are whole in what was read are handed on where they stand. Of one that is not, the
// bytes are kept in a buffer of the connection's own until it is whole; that buffer grows with
// what really came, never with what a header promised.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "wire/framing.h"

namespace muster::broker {

// The beginning of a frame; null when there is none.
using PartialFrame = std::unique_ptr<std::string>;

// Calls on_frame(body) for each frame that ends in `input`, until it returns false (`partial` is
// not touched after that: it may be gone). The problem when the stream is no frames.
template <class OnFrame>
std::string split_frames(PartialFrame& partial, std::string_view input, std::size_t max_body,
                         OnFrame&& on_frame) {
  while (partial) {
    auto frame = wire::next_frame(*partial, max_body);
    if (frame.status == wire::FrameView::Status::kBad) return std::move(frame.problem);
    if (frame.status == wire::FrameView::Status::kComplete) {
      const PartialFrame whole = std::move(partial);
      if (!on_frame(frame.body)) return {};
      break;
    }
    if (input.empty()) return {};
    const std::size_t wanted = std::min(frame.bytes - partial->size(), input.size());
    partial->append(input.substr(0, wanted));
    input.remove_prefix(wanted);
  }
  while (!input.empty()) {
    auto frame = wire::next_frame(input, max_body);
    if (frame.status == wire::FrameView::Status::kBad) return std::move(frame.problem);
    if (frame.status == wire::FrameView::Status::kIncomplete) {
      partial = std::make_unique<std::string>(input);
      return {};
    }
    input.remove_prefix(frame.bytes);
    if (!on_frame(frame.body)) return {};
  }
  return {};
}

}  // namespace muster::broker
