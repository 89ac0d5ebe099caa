// What an operator's client makes of a broker's bytes: answers and events, decoded, shown as JSON
// and encoded again.
//
// Input: frames' bodies, each after its length.
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "muster/json.h"

#include "fuzz/input.h"
#include "fuzz/shown.h"
#include "fuzz/targets.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::fuzz {
namespace {

std::string encoded(const wire::ControlAnswerFrame& frame) {
  return std::visit([&](const auto& message) { return wire::encode(frame.request_id, message); },
                    frame.message);
}

struct ShowJson {
  template <class Value>
  void operator()(const Value& value) const {
    if constexpr (requires { to_json(value); }) must_be_fit_to_show(to_json(value));
  }
  void operator()(const wire::ControlResponse& response) const { std::visit(*this, response); }
};

std::string_view body_of(std::string_view frame) {
  const auto view = wire::next_frame(frame, wire::kMaxControlBody);
  must(view.status == wire::FrameView::Status::kComplete && view.bytes == frame.size(),
       "what is encoded is one frame");
  return view.body;
}

}  // namespace

void control_answers(std::string_view bytes) {
  wire::ControlAnswerDecoder decoder;
  for (Input input(bytes); !input.empty();) {
    std::optional<wire::ControlAnswerFrame> frame;
    const auto problem = decoder.decode(input.text(), frame);
    if (!problem.empty()) {
      must_be_fit_to_show(problem);
      must(!frame, "what is refused leaves nothing behind");
      continue;
    }
    std::visit(ShowJson{}, frame->message);
    // Texts over their limits are cut and made UTF-8 when they are encoded: the second time nothing
    // is left to change.
    const auto once = encoded(*frame);
    std::optional<wire::ControlAnswerFrame> second;
    must(decoder.decode(body_of(once), second).empty(), "what is encoded is decoded");
    must(encoded(*second) == once, "encoding is stable");
  }
}

}  // namespace muster::fuzz
