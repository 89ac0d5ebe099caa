// A peer of a released version keeps working with this one, and the reverse.
//
// Read: every recorded frame of that version decodes. Write: what it says is written as the same
// bytes today, so that version reads it; what is newer only adds fields, which it leaves out.
#include <set>
#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "support/wire_golden.h"
#include "wire/backend_lane.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::wire {
namespace {

std::string_view body_of_frame(const std::string& frame) {
  return next_frame(frame, kMaxControlBody).body;
}

struct WriteAgain {
  std::uint64_t id;
  bool answers_a_request;

  template <typename Message>
  std::string operator()(const Message& message) const {
    return encode(id, message);
  }
  std::string operator()(const Cancel& /*cancel*/) const { return encode_cancel(kBackendLane, id); }
  std::string operator()(const Refusal& refusal) const {
    return encode(id, refusal, answers_a_request);
  }
  std::string operator()(const OutgoingOperation& operation) const { return encode(operation); }
  std::string operator()(const HoldEnded& ended) const { return encode(ended); }
  std::string operator()(const UnknownMessage& /*message*/) const { return "unknown"; }
};

bool is_of_backends(std::string_view name) {
  static const std::set<std::string_view> kNames{
      "Register, smallest", "Register", "Ack", "Failure", "Working", "Activity", "Deregister"};
  return kNames.contains(name);
}

TEST(WireCompatibility, EveryRecordedFrameOfTheBackendLaneIsReadAndWrittenAsItWas) {
  for (const auto& [name, frame] : test::load_golden("recorded_0_1_0_backend_lane.hex")) {
    SCOPED_TRACE(name);
    const WriteAgain again{0, name != "Refused, an event"};
    if (is_of_backends(name)) {
      BackendFrame out;
      ASSERT_EQ(BackendFrameDecoder().decode(body_of_frame(frame), out), "");
      EXPECT_EQ(std::visit(WriteAgain{out.request_id, again.answers_a_request}, out.message),
                frame);
    } else {
      BrokerFrame out;
      ASSERT_EQ(BrokerFrameDecoder().decode(body_of_frame(frame), out), "");
      EXPECT_EQ(std::visit(WriteAgain{out.request_id, again.answers_a_request}, out.message),
                frame);
    }
  }
}

TEST(WireCompatibility, EveryRecordedFrameOfTheControlLaneIsReadAndWrittenAsItWas) {
  int requests = 0;
  int answers = 0;
  for (const auto& [name, frame] : test::load_golden("recorded_0_1_0_control_lane.hex")) {
    SCOPED_TRACE(name);
    ControlRequestFrame request;
    if (ControlRequestDecoder().decode(body_of_frame(frame), request).empty()) {
      ++requests;
      EXPECT_EQ(encode(request), frame);
      continue;
    }
    std::optional<ControlAnswerFrame> answer;
    ASSERT_EQ(ControlAnswerDecoder().decode(body_of_frame(frame), answer), "");
    ++answers;
    EXPECT_EQ(std::visit([&](const auto& message) { return encode(answer->request_id, message); },
                         answer->message),
              frame);
  }
  EXPECT_EQ(requests, 12);
  EXPECT_EQ(answers, 13);
}

}  // namespace
}  // namespace muster::wire
