// What a backend may register with.
#include <string>

#include <gtest/gtest.h>

#include "muster/registration.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

Registration good_registration() {
  Registration registration;
  registration.key = {Instance::shared(), "zccache", "1.4.2", ""};
  return registration;
}

std::string problem(const Registration& registration) {
  return registration.problem().value_or("");
}

TEST(RegistrationTest, AGoodOneHasNoProblem) {
  auto registration = good_registration();
  EXPECT_EQ(problem(registration), "");
  registration.ack_timeout = milliseconds(0);  // raised to the least when it is used
  registration.idle_timeout = milliseconds(1);
  registration.sdk_name = std::string(64, 's');
  registration.sdk_version = std::string(64, 'v');
  registration.max_protocol = 9;
  EXPECT_EQ(problem(registration), "");
}

TEST(RegistrationTest, ABadKeyIsItsProblem) {
  auto registration = good_registration();
  registration.key.service_name = "No";
  EXPECT_EQ(problem(registration), registration.key.problem());
}

TEST(RegistrationTest, TheProtocolMustBeOneOfOurs) {
  const auto with = [](std::uint32_t least, std::uint32_t most) {
    auto registration = good_registration();
    registration.min_protocol = least;
    registration.max_protocol = most;
    return problem(registration);
  };
  EXPECT_EQ(with(1, 1), "");
  EXPECT_EQ(with(0, 1), "min_protocol 0 and max_protocol 1 are not a range; give 1 and 1");
  EXPECT_NE(with(1, 0), "");
  EXPECT_NE(with(0, 0), "");
  EXPECT_EQ(with(2, 3), "this broker speaks protocol 1, the backend speaks 2 to 3");
  EXPECT_NE(with(3, 2), "");
}

TEST(RegistrationTest, SixteenLabelsOf64BytesAreTheMost) {
  auto registration = good_registration();
  for (int i = 0; i < 16; ++i) {
    auto name = "l" + std::to_string(i);
    name.resize(64, '-');
    registration.labels[name] = std::string(64, 'v');
  }
  EXPECT_EQ(problem(registration), "");
  registration.labels["one-more"] = "";
  EXPECT_EQ(problem(registration), "there are 17 labels; the most is 16");
}

TEST(RegistrationTest, LabelNamesArePlainAndValuesAreUtf8) {
  const auto with = [](const std::string& name, const std::string& value) {
    auto registration = good_registration();
    registration.labels[name] = value;
    return problem(registration);
  };
  for (const auto* name : {"a", "A.b-c_d/9", "example.com/tier"}) EXPECT_EQ(with(name, ""), "");
  EXPECT_EQ(with("a", "\xc3\xa4 \n"), "");
  for (const auto& name : {std::string(), std::string("a b"), std::string("a="),
                           std::string("\xc3\xa4"), std::string(65, 'a'), std::string("a\0", 2)}) {
    EXPECT_NE(with(name, "").find("label name"), std::string::npos) << name;
  }
  EXPECT_NE(with("a", std::string(65, 'v')), "");
  EXPECT_NE(with("a", "\xff"), "");
  EXPECT_EQ(with("a\x1b", "").find('\x1b'), std::string::npos);
}

TEST(RegistrationTest, TheSdkNamesItselfInAtMost64Bytes) {
  auto registration = good_registration();
  registration.sdk_name = std::string(65, 's');
  EXPECT_NE(problem(registration), "");
  registration = good_registration();
  registration.sdk_version = std::string(65, 's');
  EXPECT_NE(problem(registration), "");
}

TEST(RegistrationTest, AnIdleTimeoutOfZeroWouldAlwaysHavePassed) {
  auto registration = good_registration();
  registration.idle_timeout = milliseconds(0);
  EXPECT_NE(problem(registration), "");
  registration.idle_timeout = milliseconds(-1);
  EXPECT_NE(problem(registration), "");
}

}  // namespace
}  // namespace muster
