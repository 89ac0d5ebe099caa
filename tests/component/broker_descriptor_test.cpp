// A broker that may open no more descriptors: those who are connected are served, others wait.
#include <chrono>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "component/broker_hostile_fixture.h"
#include "os/unique_fd.h"

namespace muster::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DescriptorTest : public HostileTest {
 protected:
  // Lets this process open `more` descriptors, and no others, until it goes.
  class Shortage {
   public:
    explicit Shortage(rlim_t more) {
      ::getrlimit(RLIMIT_NOFILE, &before_);
      // The lowest free number is where the next one goes.
      const os::UniqueFd next(::dup(0));
      rlimit low = before_;
      low.rlim_cur = static_cast<rlim_t>(next.get()) + more;
      ::setrlimit(RLIMIT_NOFILE, &low);
    }
    ~Shortage() { ::setrlimit(RLIMIT_NOFILE, &before_); }

   private:
    rlimit before_{};
  };
};

TEST_F(DescriptorTest, WhenDescriptorsRunOutAcceptingPausesSaysSoOnceAndRecovers) {
  auto& waiting = connect();
  waiting.registers("waiting");
  {
    const Shortage none(0);
    // Through several pauses of 100 ms, so that a second sentence would show.
    context_->run_for(std::chrono::milliseconds(350));
    EXPECT_THAT(
        sink_.troubles,
        ElementsAre("cannot accept connections (Too many open files): retrying every 100 ms"));
    // Those who are connected are served.
    const auto id = release_handles("/cache");
    EXPECT_EQ(witness_->hears(), "operation 1: release-handles /cache");
    witness_->acks(id);
    EXPECT_EQ(result(id), "release-handles /cache: acked witness 1.0.0");
  }
  EXPECT_EQ(waiting.hears(), "registered");
  settle();
  EXPECT_THAT(sink_.troubles,
              ElementsAre(HasSubstr("cannot accept connections"), "accepting connections again"));
}

TEST_F(DescriptorTest, AConnectionWhoseProcessCannotBeLookedUpYetWaits) {
  // Of another process: this one is known already.
  Child other([&](Child::Side& side) {
    TestBackend waiting(socket());
    waiting.registers("waiting");
    side.say("connected");
    side.wait_to_be_told();
  });
  EXPECT_EQ(other.hear(), "connected");
  {
    const Shortage one(1);  // for the connection, but not for its pidfd
    ASSERT_TRUE(run_until([&] { return !sink_.troubles.empty(); }));
    EXPECT_EQ(sink_.count(Event::Kind::kBackendRegistered), 1u) << "the witness alone";
  }
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendRegistered, 2));
  EXPECT_EQ(outcome(release_handles("/cache"), "waiting").pid, other.pid());
  settle();
  EXPECT_EQ(sink_.troubles.back(), "accepting connections again");
}

TEST_F(DescriptorTest, AConnectionOfAProcessThatIsKnownNeedsNoDescriptorButItsOwn) {
  auto& another = connect();
  another.registers("another");
  const Shortage one(1);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendRegistered, 2));
  EXPECT_EQ(outcome(release_handles("/cache"), "another").pid, ::getpid());
}

}  // namespace
}  // namespace muster::test
