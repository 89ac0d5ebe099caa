// Lines of the log that one user causes hide no line about another. Real users; takes root.
#include <exception>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/child.h"
#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

constexpr uid_t kFlooder = 65534;
constexpr uid_t kQuietUser = 65533;

class LogFloodTest : public MusterdTest {
 protected:
  void SetUp() override {
    if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
    broker_.emplace(command({"--config",
                             write("m.toml",
                                   "[sockets]\n"
                                   "backend_mode = \"0666\"\n"
                                   "control_mode = \"0666\"\n"
                                   "[[policy.control]]\n"
                                   "users = [65533, 65534]\n"
                                   "actions = \"look\"\n"
                                   "[[policy.register]]\n"
                                   "users = [65533, 65534]\n"
                                   "services = \"allowed\"\n")
                                 .native(),
                             "--state-dir", (dir_ / "state").native()}));
    broker_->wait_for("listening");
    ASSERT_EQ(::chmod(sockets().c_str(), 0755), 0);
  }

  // As that user. What `run` says, "" when it could not run.
  static std::string as(uid_t user, const std::function<void()>& run) {
    Child child([&](Child::Side& side) {
      if (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0) return;
      try {
        run();
        side.say("done");
      } catch (const std::exception& error) {
        side.say(error.what());
      }
    });
    return child.hear();
  }
  // One connection, so many requests that policy denies.
  void is_denied(std::size_t times) const {
    ControlClient client(sockets());
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles("/cache");
    for (std::size_t i = 0; i < times; ++i) {
      try {
        (void)client.start_broadcast(request);
      } catch (const std::exception& denied) {
        if (std::string(denied.what()).find("policy does not let") == std::string::npos) throw;
      }
    }
  }
  // So many connections, each of a backend that may not register.
  void is_refused(std::size_t times) const {
    for (std::size_t i = 0; i < times; ++i) {
      TestBackend backend(backend_socket());
      backend.registers("forbidden");
      (void)backend.hears();
    }
  }
  // Breaks the protocol of operators.
  void babbles(std::size_t times) const {
    for (std::size_t i = 0; i < times; ++i) {
      const os::UniqueFd socket = connect_unix(sockets() / "control.sock");
      (void)::send(socket.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
      std::string answer(4096, '\0');
      while (::recv(socket.get(), answer.data(), answer.size(), 0) > 0) {
      }
    }
  }
  [[nodiscard]] std::size_t lines_about(uid_t user) {
    broker_->look();
    const std::string wanted = " uid=" + std::to_string(user) + ' ';
    std::size_t count = 0;
    for (auto at = broker_->err().find(wanted); at != std::string::npos;
         at = broker_->err().find(wanted, at + 1)) {
      ++count;
    }
    return count;
  }

  std::optional<Process> broker_;
};

TEST_F(LogFloodTest, TenThousandDenialsHideNoLineAboutAnotherUser) {
  ASSERT_EQ(as(kFlooder, [this] { is_denied(10'000); }), "done");
  ASSERT_EQ(as(kQuietUser, [this] { is_denied(1); }), "done");
  broker_->wait_for("operator denied pid=");
  broker_->wait_for(" uid=65533 what=");
  ASSERT_EQ(as(kFlooder, [this] { is_refused(1'000); }), "done");
  ASSERT_EQ(as(kQuietUser, [this] { is_refused(1); }), "done");
  broker_->wait_for(" uid=65533 why=");
  ASSERT_EQ(as(kFlooder, [this] { babbles(1'000); }), "done");
  babbles(1);  // root's
  broker_->wait_for("protocol error of an operator, closing its connection pid=" +
                    std::to_string(::getpid()) + " uid=0");
  // Fifty at once, and ten a second for as long as this took.
  EXPECT_GE(lines_about(kFlooder), 50U);
  EXPECT_LT(lines_about(kFlooder), 2'000U);
  EXPECT_EQ(broker_->end().status, 0);
}

}  // namespace
}  // namespace muster::test
