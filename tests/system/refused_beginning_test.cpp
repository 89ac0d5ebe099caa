// Living processes that were refused before they registered: what a connection may begin with.
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/child.h"
#include "system/refused_fixture.h"
#include "wire/framing.h"

namespace muster::test {
namespace {

using ::testing::HasSubstr;

// What a connection begins with, and what the broker says of it.
struct BadBeginning {
  const char* name;
  std::string bytes;
  const char* refusal;

  friend std::ostream& operator<<(std::ostream& out, const BadBeginning& beginning) {
    return out << beginning.name;
  }
};

std::string bare_frame(std::string_view body) {
  std::string frame(wire::kHeaderBytes, '\0');
  wire::put_header(frame.data(), body.size());
  return frame.append(body);
}

std::vector<BadBeginning> bad_beginnings() {
  Registration labelled = registration_of("cache");
  labelled.labels["where"] = "caf?";
  std::string latin = wire::encode(1, labelled);
  latin.at(latin.rfind("caf?") + 3) = '\xE9';
  const std::string whole = wire::encode(1, registration_of("cache"));
  constexpr std::size_t kTooLong = 70'000;
  return {{"LabelInLatin1", latin, "protocol"},
          {"MessageOf70KB", bare_frame(std::string(kTooLong, 'x')), "protocol"},
          {"NoFrame", "GET / HTTP/1.1\r\n\r\n", "protocol"},
          {"NoProtobuf", bare_frame("\xFF\xFF\xFF"), "protocol"},
          {"AnAckFirst", wire::encode(7, Ack{}), "protocol"},
          {"ActivityFirst", wire::encode(0, Activity{}), "protocol"},
          {"DeregisterFirst", wire::encode(1, Deregister{}), "protocol"},
          {"HalfAMessage", whole.substr(0, whole.size() / 2), "too slow"},
          {"HalfAHeader", whole.substr(0, 2), "too slow"},
          {"Silence", "", "too slow"}};
}

class RefusedBeginningTest : public RefusedTest,
                             public ::testing::WithParamInterface<BadBeginning> {};

TEST_P(RefusedBeginningTest, MakesNoAnswerCompleteUntilItsProcessExits) {
  const bool is_silent = std::string_view(GetParam().refusal) == "too slow";
  const Process broker = start_broker(is_silent ? "50ms" : "1h");
  Process owner(fake("cache"));
  owner.wait_for("registered");
  Child stranger = sends(kStranger, GetParam().bytes);
  ASSERT_THAT(stranger.hear(), HasSubstr(GetParam().refusal));
  const Finished yes = release();
  EXPECT_EQ(yes.status, 0) << "policy lets it register nothing\n" << yes.out;
  Child wrong = sends(kNobodyUid, GetParam().bytes);
  ASSERT_THAT(wrong.hear(), HasSubstr(GetParam().refusal));
  const Finished asked = release();
  EXPECT_EQ(asked.status, 1) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("1 of 1 acked"));
  EXPECT_THAT(ctl({"status"}).out, HasSubstr("processes (1 of uid 65534) were refused"));
  wrong.kill();
  wrong.reap();
  while (release().status != 0) {
  }
}

INSTANTIATE_TEST_SUITE_P(Each, RefusedBeginningTest, ::testing::ValuesIn(bad_beginnings()),
                         [](const auto& beginning) { return std::string(beginning.param.name); });

TEST_F(RefusedTest, OneThatEndsItsConnectionByItselfIsAProbe) {
  const Process broker = start_broker();
  Process owner(fake("cache"));
  owner.wait_for("registered");
  const auto socket = backend_socket();
  Child probe([&](Child::Side& side) {
    if (::setresgid(kNobodyUid, kNobodyUid, kNobodyUid) != 0) return;
    if (::setresuid(kNobodyUid, kNobodyUid, kNobodyUid) != 0) return;
    const std::string whole = wire::encode(1, registration_of("cache"));
    for (const std::size_t bytes : {std::size_t{0}, whole.size() - 1}) {
      TestBackend backend(socket);
      backend.send(whole.substr(0, bytes));
    }
    side.say("done");
    side.wait_to_be_told();
  });
  ASSERT_EQ(probe.hear(), "done");
  EXPECT_EQ(release().status, 0);
}

}  // namespace
}  // namespace muster::test
