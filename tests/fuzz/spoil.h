// Frames that are almost good.
#pragma once

#include <string>
#include <string_view>

#include "fuzz/input.h"
#include "wire/framing.h"

namespace muster::fuzz {

// `body` with a header that is right.
inline std::string framed(std::string_view body) {
  std::string frame(wire::kHeaderBytes, '\0');
  wire::put_header(frame.data(), body.size());
  return frame.append(body);
}

// Some of its bytes are others.
inline std::string spoiled(std::string frame, Input& input) {
  for (auto count = 1 + input.choose(3); count > 0; --count) {
    const auto at = input.word() % frame.size();
    frame[at] = static_cast<char>(frame[at] ^ input.byte());
  }
  return frame;
}

}  // namespace muster::fuzz
