// A task that fails is started again and counted: nobody is shut out by one exception.
#include <cstdint>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class MusterdTasksTest : public MusterdTest {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer has a malloc of its own";
    fail_after_accept('0');
    broker_.emplace(command({"--log-level", "debug"}),
                    with_environment({{"LD_PRELOAD", program("libmuster_host_shim.so")},
                                      {"MUSTER_ACCEPT_FILE", fault_.native()}}));
    broker_->wait_for("listening");
  }
  // Which malloc fails in the broker's loop from now on, counted from each accept. '0': none.
  void fail_after_accept(char number) const { std::ofstream(fault_) << number; }
  [[nodiscard]] std::uint64_t task_failures() const {
    return ControlClient(sockets()).status().counters.task_failures;
  }
  // Somebody connects to one of the sockets, asks, and may be told nothing.
  void knock(const char* socket) const {
    const os::UniqueFd connection = connect_unix(sockets() / socket);
    char byte = 0;
    const timeval patience{2, 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::shutdown(connection.get(), SHUT_WR);
    while (::recv(connection.get(), &byte, 1, 0) > 0) {
    }
  }

  const std::filesystem::path fault_ = dir_ / "fault";
  std::optional<Process> broker_;
};

TEST_F(MusterdTasksTest, WithoutMemoryAtAnAcceptOneConnectionIsLostAndBothSocketsAreServed) {
  std::uint64_t counted = task_failures();
  EXPECT_EQ(counted, 0u);
  for (const char* socket : {"backend.sock", "control.sock"}) {
    bool any = false;
    for (char number = '1'; number <= '9'; ++number) {
      SCOPED_TRACE(std::string(socket) + " without malloc " + number);
      fail_after_accept(number);
      knock(socket);
      fail_after_accept('0');
      EXPECT_EQ(ping(), broker_->pid());
      join("a").closes();
      const std::uint64_t now = task_failures();
      any = any || now > counted;
      counted = now;
    }
    EXPECT_TRUE(any) << "no task of " << socket << " failed: nothing was tested";
  }
  broker_->wait_for("a task failed");
  const Finished status =
      run_program({program("musterctl"), "--socket-dir", sockets().native(), "status"});
  EXPECT_NE(status.out.find(std::to_string(counted) + " failed and were started again"),
            std::string::npos)
      << status.out;
  EXPECT_EQ(ControlClient(sockets()).status().problems, std::vector<std::string>{});
  EXPECT_EQ(broker_->end().status, 0);
}

}  // namespace
}  // namespace muster::test
