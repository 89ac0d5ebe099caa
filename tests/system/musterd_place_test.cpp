// Its place in the file system: musterd notices that nobody can find it any more, within 2 s.
#include <chrono>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "os/listener.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using std::chrono::steady_clock;

class MusterdPlaceTest : public MusterdTest {
 protected:
  void expect_it_serves_again(Process& broker, steady_clock::time_point since) {
    broker.wait_for("sockets were deleted, made them again");
    EXPECT_LT(steady_clock::now() - since, std::chrono::seconds(kSanitized ? 10 : 2));
    EXPECT_EQ(ping(), broker.pid());
    join("late").closes();
  }
};

TEST_F(MusterdPlaceTest, MakesItsSocketsAgainWhateverWasTakenAway) {
  Process broker = start({"--state-dir", (dir_ / "state").native()});
  TestBackend a = join("a");
  for (const auto* gone : {"", "backend.sock", "control.sock", "musterd.lock"}) {
    SCOPED_TRACE(gone);
    const auto since = steady_clock::now();
    std::filesystem::remove_all(gone[0] == '\0' ? sockets() : sockets() / gone);
    expect_it_serves_again(broker, since);
  }
  const auto since = steady_clock::now();
  std::filesystem::rename(sockets(), dir_ / "moved");
  expect_it_serves_again(broker, since);
  // Who was connected stays so.
  EXPECT_EQ(ControlClient(sockets()).backends().front().key.service_name, "a");
  EXPECT_EQ(broker.end().status, 0);
  EXPECT_FALSE(std::filesystem::exists(backend_socket()));
}

TEST_F(MusterdPlaceTest, EndsWithAFailureWhenAnotherBrokerIsThereNow) {
  Process first = start({"--state-dir", (dir_ / "state").native()});
  std::filesystem::remove_all(sockets());
  Process second = start({"--state-dir", (dir_ / "other").native()});
  const std::string why = first.wait_for("cannot be made again, exiting");
  EXPECT_NE(why.find("another broker (pid " + std::to_string(second.pid()) + ")"),
            std::string::npos)
      << why;
  EXPECT_EQ(first.finish().status, 1);
  EXPECT_EQ(ping(), second.pid());
  EXPECT_EQ(second.end().status, 0);
}

TEST_F(MusterdPlaceTest, EndsWithAFailureWhenAForeignSocketIsInItsPlace) {
  Process broker = start({"--state-dir", (dir_ / "state").native()});
  std::filesystem::remove(backend_socket());
  const auto foreign = os::listen_unix(backend_socket(), 0600);
  ASSERT_EQ(foreign.problem, "");
  broker.wait_for("cannot be made again, exiting");
  EXPECT_EQ(broker.finish().status, 1);
  EXPECT_TRUE(std::filesystem::exists(backend_socket())) << "it is not its own";
}

}  // namespace
}  // namespace muster::test
