// A stop while the disk does not answer: backends and operators are served as usual, and the broker
// ends in time.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <variant>

#include <gmock/gmock.h>

#include "system/musterd_fixture.h"
#include "wire/control_lane.h"

namespace muster::test {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;

class MusterdStopTest : public MusterdTest {
 protected:
  void SetUp() override {
    disk('f');
    broker_.emplace(command({"--state-dir", state().native()}),
                    with_environment({{"LD_PRELOAD", program("libmuster_host_shim.so")},
                                      {"MUSTER_DISK_FILE", disk_.native()},
                                      {"NOTIFY_SOCKET", (dir_ / "notify").native()}}));
    broker_->wait_for("listening");
  }
  // 'h': whatever is to be written from now on hangs; 'f': it is written.
  void disk(char how) const { std::ofstream(disk_) << how; }
  [[nodiscard]] std::filesystem::path state() const { return dir_ / "state"; }
  // The time that a broker may take for a disk that does not answer, and what else it does.
  static constexpr std::chrono::seconds kEnds{8};

  const std::filesystem::path disk_ = dir_ / "disk";
  NotifySocket manager_{dir_ / "notify"};
  std::optional<Process> broker_;
};

TEST_F(MusterdStopTest, ADiskThatDoesNotAnswerHoldsUpNoQuiesceAndTheStatusSaysSo) {
  TestBackend a = join("a");
  disk('h');
  const auto since = steady_clock::now();
  broker_->signal(SIGTERM);
  EXPECT_THAT(a.hears(), HasSubstr("quiesce (broker-shutdown)"));
  a.acks(std::get<OutgoingOperation>(a.last().message).broadcast_id);
  EXPECT_EQ(a.hears(), "end of stream");
  EXPECT_LT(steady_clock::now() - since, std::chrono::seconds(1)) << "it waited for the disk";
  EXPECT_EQ(without_time(broker_->wait_for("waiting for the disk")),
            "warning stopping: waiting for the disk, 5 s at most directory=" + state().native());
  // Its own limit is longer than what it may take.
  EXPECT_EQ(manager_.wait_for("EXTEND_TIMEOUT_USEC=10000000"),
            "WATCHDOG=1; EXTEND_TIMEOUT_USEC=10000000");
  const Finished finished = broker_->finish();
  EXPECT_LT(steady_clock::now() - since, kEnds);
  EXPECT_EQ(finished.status, 4);
  EXPECT_THAT(finished.err,
              HasSubstr("error   the disk did not answer for 5 s, exiting: the state directory is "
                        "not up to date: look at its file system directory=" +
                        state().native()));
  EXPECT_FALSE(std::filesystem::exists(backend_socket())) << "nobody would answer there";

  // Nothing of it is in the way of the next one, which knows whom to expect.
  disk('f');
  Process next = start({"--state-dir", state().native()});
  EXPECT_EQ(ControlClient(sockets()).backends().size(), 1U);
  next.end(SIGKILL);
}

TEST_F(MusterdStopTest, ADiskThatAnswersInTimeIsWaitedFor) {
  disk('h');
  broker_->signal(SIGTERM);
  broker_->wait_for("waiting for the disk");
  disk('f');
  const Finished finished = broker_->finish();
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("info    stopped"));
}

TEST_F(MusterdStopTest, AnOperatorWhoseKeyIsNotWrittenYetHoldsUpNothing) {
  TestBackend a = join("a");
  disk('h');
  const os::UniqueFd waits = connect_unix(sockets() / "control.sock");
  wire::ControlRequestFrame frame;
  frame.request_id = 1;
  wire::StartBroadcast start;
  start.request.operation = BroadcastOperation::release_handles("/cache");
  start.request.operation_key = "once";
  frame.message = start;
  const std::string request = wire::encode(frame);
  ASSERT_EQ(::send(waits.get(), request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  // What came before these was read.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ping(), broker_->pid());
  const auto since = steady_clock::now();
  broker_->signal(SIGTERM);
  EXPECT_THAT(a.hears(), HasSubstr("quiesce (broker-shutdown)")) << "nothing else was sent";
  a.acks(std::get<OutgoingOperation>(a.last().message).broadcast_id);
  EXPECT_EQ(broker_->finish().status, 4);
  EXPECT_LT(steady_clock::now() - since, kEnds);
}

}  // namespace
}  // namespace muster::test
