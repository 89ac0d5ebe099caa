#include <string>

#include <gtest/gtest.h>

#include "sdk/answer_memory.h"

namespace muster {
namespace {

constexpr ConnectionSerial kOld = 1;
constexpr ConnectionSerial kNew = 2;

std::string text(const Answer* answer) {
  if (answer == nullptr) return "nothing";
  const auto* failure = std::get_if<Failure>(answer);
  return failure == nullptr ? "ack" : "failure " + failure->detail;
}

Answer failure(std::string detail) {
  return Failure{BroadcastFailureReason::kRejected, std::move(detail)};
}

TEST(AnswerMemoryTest, AnAnswerOfAnEarlierConnectionIsGivenAgainOnce) {
  AnswerMemory memory(10);
  memory.remember(7, failure("busy"), kOld);
  EXPECT_EQ(text(memory.redelivered(7, kNew)), "failure busy");
  EXPECT_EQ(text(memory.redelivered(7, kNew)), "nothing");
  EXPECT_EQ(text(memory.redelivered(7, kNew + 1)), "failure busy");
}

TEST(AnswerMemoryTest, AnAnswerOfThisConnectionIsNotGivenAgain) {
  AnswerMemory memory(10);
  memory.remember(7, Ack{}, kOld);
  EXPECT_TRUE(memory.knows(7));
  EXPECT_EQ(text(memory.redelivered(7, kOld)), "nothing");
}

TEST(AnswerMemoryTest, WhatIsNotKnownIsNotAnswered) {
  AnswerMemory memory(10);
  EXPECT_FALSE(memory.knows(7));
  EXPECT_EQ(text(memory.redelivered(7, kNew)), "nothing");
}

TEST(AnswerMemoryTest, AnswersThatCouldNotBeSentComeInTheOrderInWhichTheyWereGiven) {
  AnswerMemory memory(10);
  memory.remember(1, failure("first"), 0);
  memory.remember(2, Ack{}, kOld);
  memory.remember(3, failure("second"), 0);

  std::string sent;
  while (const auto unsent = memory.next_unsent(kNew)) {
    sent += std::to_string(unsent->id) + " " + text(&unsent->answer) + "; ";
  }
  EXPECT_EQ(sent, "1 failure first; 3 failure second; ");
  EXPECT_EQ(text(memory.redelivered(1, kNew)), "nothing") << "it was sent on this connection";
}

TEST(AnswerMemoryTest, ARedeliveryBeforeTheUnsentOnesAreSentTakesItsAnswer) {
  AnswerMemory memory(10);
  memory.remember(1, Ack{}, 0);
  EXPECT_EQ(text(memory.redelivered(1, kNew)), "ack");
  EXPECT_FALSE(memory.next_unsent(kNew).has_value());
}

TEST(AnswerMemoryTest, TheOneUsedLongestAgoIsForgottenFirst) {
  AnswerMemory memory(2);
  memory.remember(1, Ack{}, kOld);
  memory.remember(2, Ack{}, kOld);
  (void)memory.redelivered(1, kNew);
  memory.remember(3, Ack{}, kNew);
  EXPECT_EQ(memory.size(), 2u);
  EXPECT_TRUE(memory.knows(1));
  EXPECT_FALSE(memory.knows(2));
  EXPECT_TRUE(memory.knows(3));
}

TEST(AnswerMemoryTest, AForgottenUnsentAnswerIsNotWaitedFor) {
  AnswerMemory memory(1);
  memory.remember(1, Ack{}, 0);
  memory.remember(2, failure("kept"), 0);
  const auto unsent = memory.next_unsent(kNew);
  ASSERT_TRUE(unsent.has_value());
  EXPECT_EQ(unsent->id, 2u);
  EXPECT_FALSE(memory.next_unsent(kNew).has_value());
}

}  // namespace
}  // namespace muster
