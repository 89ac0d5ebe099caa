// Which transport musterd takes, and what it says when that one cannot be had.
#include <gtest/gtest.h>

#include "support/child.h"
#include "support/forbid_io_uring.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class MusterdTransportTest : public MusterdTest {
 protected:
  // What musterd says of its transport until it listens or ends, where io_uring is not allowed.
  std::string without_io_uring(const std::string& transport) {
    Child child([&](Child::Side& side) {
      forbid_io_uring();
      Process broker(musterd({"--socket-dir", sockets().native(), "--transport", transport}));
      if (transport == "io_uring") {
        const Finished finished = broker.finish();
        return side.say(std::to_string(finished.status) + ' ' + without_time(finished.err));
      }
      const std::string why = without_time(broker.wait_for("io_uring unavailable"));
      side.say(why + " | " + std::to_string(broker.end().status));
    });
    return child.hear();
  }
};

std::string why() {
  return "io_uring is not allowed here (kernel.io_uring_disabled or a system call filter): "
         "Operation not permitted";
}

TEST_F(MusterdTransportTest, IoUringThatCannotBeHadIsToldAndNothingIsStarted) {
  EXPECT_EQ(without_io_uring("io_uring"),
            "1 error   musterd failed, exiting why=\"transport io_uring unavailable, use auto or "
            "epoll: " +
                why() + '"');
  EXPECT_FALSE(std::filesystem::exists(backend_socket()));
}

TEST_F(MusterdTransportTest, AutoIsEpollWhereIoUringCannotBeHadAndSaysWhy) {
  EXPECT_EQ(without_io_uring("auto"),
            "info    io_uring unavailable, using epoll why=\"" + why() + "\" | 0");
}

TEST_F(MusterdTransportTest, TheStatusShowsTheTransport) {
  Process broker = start();
  EXPECT_EQ(ControlClient(sockets()).status().transport, test_transport());
}

}  // namespace
}  // namespace muster::test
