#include "support/backend_frame_text.h"

#include <optional>
#include <string>

namespace muster::test {
namespace {

struct Writer {
  std::string id;
  std::optional<std::uint32_t> refused_before;

  std::string operator()(const Registration& message) const {
    return "Register " + message.key.to_string() +
           (message.can_resume ? "" : " that cannot resume") +
           (refused_before ? "" : " without refused_before") +
           (refused_before.value_or(0) == 0 ? ""
                                            : " refused before " + std::to_string(*refused_before));
  }
  std::string operator()(const Ack& message) const {
    return "Ack " + id +
           (message.released ? " released " + std::to_string(*message.released) : std::string());
  }
  std::string operator()(const Failure& message) const {
    return "Failure " + id + " " + reason(message.reason) + ": " + message.detail;
  }
  std::string operator()(const Working& message) const {
    std::string text = "Working " + id + " +" + std::to_string(message.extend.count()) + " ms";
    if (message.percent) text += " " + std::to_string(*message.percent) + "%";
    if (!message.note.empty()) text += " " + message.note;
    return text;
  }
  std::string operator()(const Activity& /*message*/) const { return "Activity"; }
  std::string operator()(const Deregister& /*message*/) const { return "Deregister"; }
  std::string operator()(const wire::Cancel& /*message*/) const { return "CANCEL " + id; }

  static std::string reason(BroadcastFailureReason reason) {
    switch (reason) {
      case BroadcastFailureReason::kUnsupportedOperation:
        return "UnsupportedOperation";
      case BroadcastFailureReason::kRejected:
        return "Rejected";
      case BroadcastFailureReason::kBackendError:
        return "BackendError";
    }
    return "?";
  }
};

}  // namespace

std::string text_of(const wire::BackendFrame& frame) {
  return std::visit(Writer{std::to_string(frame.request_id), frame.refused_before}, frame.message);
}

}  // namespace muster::test
