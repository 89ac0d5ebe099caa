// A broker that may open no more descriptors: those who are connected are served, others wait.
#include <chrono>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
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

// As a service manager can, which has the socket, too.
TEST_F(DescriptorTest, AListenerThatAnotherProcessShutDownIsNoticedAndReplaced) {
  for (const int how : {SHUT_RDWR, SHUT_RD}) {
    SCOPED_TRACE(how);
    const auto path = *dir_ / ("second" + std::to_string(how));
    auto second = os::listen_unix(path, 0600);
    ASSERT_EQ(second.problem, "");
    const os::UniqueFd shared(::dup(second.socket.get()));
    server_->listen(std::move(second.socket));
    EXPECT_FALSE(server_->has_lost_listener());
    const auto pump = [this] { return run_one(); };
    TestBackend early(path, pump);  // waits to be accepted
    early.registers("early");
    ::shutdown(shared.get(), how);
    EXPECT_EQ(early.hears(), "registered") << "it had connected before";
    settle();
    EXPECT_FALSE(server_->is_serving());
    EXPECT_TRUE(server_->has_lost_listener());
    EXPECT_EQ(context_->poll(), 0U) << "a socket that is readable for ever keeps the loop busy";
    connect().registers("late");
    EXPECT_EQ(backends_.back().hears(), "registered") << "the other one is served";

    auto third = os::listen_unix(path, 0600);
    ASSERT_EQ(third.problem, "");
    server_->listen(std::move(third.socket));
    EXPECT_FALSE(server_->has_lost_listener());
    EXPECT_TRUE(server_->is_serving());
    TestBackend again(path, pump);
    again.registers("again");
    EXPECT_EQ(again.hears(), "registered");
    EXPECT_THAT(sink_.troubles, ElementsAre());
  }
}

TEST_F(DescriptorTest, AListenerThatIsShutDownWhileDescriptorsAreShortIsNoticedAtTheNextLook) {
  auto second = os::listen_unix(*dir_ / "second.sock", 0600);
  ASSERT_EQ(second.problem, "");
  const os::UniqueFd shared(::dup(second.socket.get()));
  server_->listen(std::move(second.socket));
  connect();
  const Shortage none(0);
  ASSERT_TRUE(run_until([&] { return !sink_.troubles.empty(); }));
  EXPECT_FALSE(server_->has_lost_listener());
  ::shutdown(shared.get(), SHUT_RDWR);
  EXPECT_TRUE(server_->has_lost_listener());
  EXPECT_FALSE(server_->is_serving());
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
