// A real musterd with a folder that operators hold, and processes that have a file of it open.
#pragma once

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/listener.h"
#include "system/musterd_fixture.h"

namespace muster::test {

class MusterdHoldsTest : public MusterdTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(cache());
    std::ofstream(cache() / "file") << "content";
  }
  [[nodiscard]] std::filesystem::path cache() const { return dir_ / "cache"; }
  // A broker that asks the muster-scan of the test, or looks with its own rights.
  [[nodiscard]] Process start_broker(const std::string& more = {},
                                     std::vector<std::pair<std::string, std::string>> env = {}) {
    const auto config = write("m.toml", "[broker]\nrestart_grace = \"" + grace_ + "\"\n" +
                                            "hold_scan_interval = \"1s\"\n[control]\nscan = \"" +
                                            (dir_ / "scan.sock").native() + "\"\n" + more);
    return start({"--config", config.native(), "--state-dir", (dir_ / "state").native()},
                 std::move(env));
  }
  [[nodiscard]] BroadcastRequest release() const {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles(cache().native());
    return request;
  }
  [[nodiscard]] BroadcastRequest held(HoldRequest hold) const {
    BroadcastRequest request = release();
    request.hold = hold;
    return request;
  }
  [[nodiscard]] BroadcastRequest verified(std::optional<HoldRequest> hold = std::nullopt) const {
    BroadcastRequest request = release();
    request.verify = true;
    request.hold = hold;
    return request;
  }
  static HoldRequest with_lease() { return {true, std::nullopt}; }
  static HoldRequest with_time(std::chrono::milliseconds time) { return {false, time}; }

  // Acks the release that it hears.
  static BroadcastId ack(TestBackend& backend) {
    const std::string heard = backend.hears();
    EXPECT_THAT(heard, testing::HasSubstr("release-handles"));
    const auto id = std::get<OutgoingOperation>(backend.last().message).broadcast_id;
    backend.acks(id);
    return id;
  }
  // What the client's broadcast says when the backend acked it.
  static BroadcastReport released(ControlClient& client, TestBackend& backend,
                                  const BroadcastRequest& request) {
    std::thread acks([&] { (void)ack(backend); });
    const auto report = client.broadcast(request);
    acks.join();
    EXPECT_TRUE(report);
    return report.value_or(BroadcastReport(BroadcastOperation::unknown()));
  }
  static std::string how_it_ended(TestBackend& backend, HoldId id) {
    EXPECT_EQ(backend.hears(), "hold " + std::to_string(id) + " ended");
    return std::string(to_string(std::get<HoldEnded>(backend.last().message).why));
  }
  // The holds that it is told when it registers.
  [[nodiscard]] std::vector<HoldId> told_at_registration(const std::string& service) const {
    TestBackend backend(backend_socket());
    backend.registers(service);
    EXPECT_EQ(backend.hears(), "registered");
    std::vector<HoldId> ids;
    for (const ActiveHold& hold : std::get<Registered>(backend.last().message).active_holds) {
      EXPECT_EQ(hold.path_prefix, cache().native());
      ids.push_back(hold.id);
    }
    return ids;
  }
  // A process that has the file open. Its parent has exited: it is none of the test's, and so none
  // of its operators'.
  class Somebody {
   public:
    explicit Somebody(const std::filesystem::path& file) {
      const Finished parent = run_program(
          {"/bin/sh", "-c", "exec 3<\"$0\"; tail -f /dev/null >/dev/null 2>&1 & echo $!",
           file.native()});
      pid_ = std::stoi(parent.out);
    }
    ~Somebody() { ::kill(pid_, SIGKILL); }
    Somebody(const Somebody&) = delete;
    Somebody& operator=(const Somebody&) = delete;
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

   private:
    pid_t pid_ = 0;
  };
  // As the service manager starts it: nobody else keeps its socket open.
  [[nodiscard]] Process start_muster_scan() const {
    auto listener = os::listen_unix(dir_ / "scan.sock", 0600);
    EXPECT_EQ(listener.problem, "");
    const int flags = ::fcntl(listener.socket.get(), F_GETFL);
    ::fcntl(listener.socket.get(), F_SETFL, flags & ~O_NONBLOCK);
    ProcessOptions options;
    options.before_exec = [fd = listener.socket.get()] {
      return ::dup2(fd, 3) == 3 && ::fcntl(3, F_SETFD, 0) == 0;
    };
    return Process(
        {"/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"", program("muster-scan")},
        options);
  }

  // In order, and without waiting for backends that are not asked to play on.
  static void stop(Process& broker) {
    broker.signal(SIGTERM);
    broker.wait_for("stopping");
    EXPECT_EQ(broker.end(SIGTERM).status, 0);
  }

  std::string grace_ = "1h";
};

}  // namespace muster::test
