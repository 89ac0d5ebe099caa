#include "net/errc.h"

#include <string>

namespace muster::net {
namespace {

class StreamCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "muster.stream"; }
  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kEndOfStream:
        return "the peer closed the connection";
      case Errc::kTruncated:
        return "the peer closed the connection in the middle of a message";
      case Errc::kBadFrame:
        return "malformed message";
      case Errc::kQueueFull:
        return "the peer does not read what it is sent";
      case Errc::kClosed:
        return "the connection was closed here";
      case Errc::kNoRoom:
        return "what the peer sends has no room in its user's quota";
    }
    return "unknown stream error " + std::to_string(code);
  }
};

}  // namespace

const std::error_category& stream_category() noexcept {
  static const StreamCategory category;
  return category;
}

}  // namespace muster::net
