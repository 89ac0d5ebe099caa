// What the system tests of refused processes share: a broker with rules for three users, and
// processes of them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/child.h"
#include "support/host_abilities.h"
#include "system/musterd_fixture.h"

namespace muster::test {

inline constexpr uid_t kStranger = 54'000;
inline constexpr uid_t kNobodyUid = 65'534;

inline std::string refused_config(const std::string& register_timeout) {
  return "[broker]\nregister_timeout = \"" + register_timeout + R"("
[sockets]
backend_mode = "0666"
[[policy.connect]]
socket = "backend"
users = [0, 54000, 65534]
[[policy.register]]
effect = "deny"
users = [65534]
services = ["of-root"]
[[policy.register]]
users = [0, 65534]
[[quota.uid]]
uid = 65534
registrations = 1
connections = 2
)";
}

class RefusedTest : public MusterdTest {
 protected:
  void SetUp() override {
    if (const auto why = why_not_several_users(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(state().c_str(), 0700), 0);
  }
  [[nodiscard]] std::filesystem::path state() const { return dir_ / "state"; }
  [[nodiscard]] Process start_broker(const std::string& register_timeout = "1h") {
    return start({"--state-dir", state().native(), "--config",
                  write("m.toml", refused_config(register_timeout)).native()});
  }
  [[nodiscard]] Finished ctl(std::vector<std::string> more) const {
    more.insert(more.begin(), {program("musterctl"), "--socket-dir", sockets().native()});
    return run_program(std::move(more));
  }
  // With its report, and no session of a user beside.
  [[nodiscard]] Finished release(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"release-handles", "/cache", "--no-sessions"});
    return ctl(std::move(more));
  }
  [[nodiscard]] std::vector<std::string> fake(const std::string& service) const {
    return {program("muster-fake-backend"), "--socket-dir", sockets().native(), "--service",
            service};
  }
  // A process of the second user which connects and says nothing.
  [[nodiscard]] std::function<void(Child::Side&)> holds_connection() const {
    return [socket = backend_socket()](Child::Side& side) {
      if (::setresgid(kNobodyUid, kNobodyUid, kNobodyUid) != 0) return;
      if (::setresuid(kNobodyUid, kNobodyUid, kNobodyUid) != 0) return;
      const TestBackend silent(socket);
      side.say("connected");
      side.wait_to_be_told();
    };
  }
  // A process of that user which connects, sends that, and says what it was told.
  [[nodiscard]] Child sends(uid_t uid, const std::string& bytes) const {
    const auto socket = backend_socket();
    return Child([=](Child::Side& side) {
      if (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) return;
      TestBackend backend(socket);
      backend.send(bytes);
      side.say(backend.hears());
      side.wait_to_be_told();
    });
  }
  // A process of that user which tries to register, says what it was told, and tries again each
  // time that it is told to.
  [[nodiscard]] Child tries(uid_t uid, const std::string& service) const {
    const auto socket = backend_socket();
    return Child([=](Child::Side& side) {
      if (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) return;
      for (;;) {
        TestBackend backend(socket);
        backend.registers(service);
        side.say(backend.hears());
        side.wait_to_be_told();
      }
    });
  }
};

}  // namespace muster::test
