// Verified releases and holds of operators, through real sockets: who a hold belongs to, when its
// end is told, and what becomes of scans. muster-scan is played by the test.
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"
#include "musterd/control/holder_scans.h"
#include "net/blocking_frames.h"
#include "os/peer.h"
#include "wire/holders.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

// Answers each question with what the test gave it last; waits while it is stopped.
class PlayedScans {
 public:
  explicit PlayedScans(const std::filesystem::path& socket) {
    auto listener = os::listen_unix(socket, 0600);
    EXPECT_EQ(listener.problem, "");
    listener_ = std::move(listener.socket);
    thread_ = std::thread([this] { serve(); });
  }
  ~PlayedScans() {
    go_on();
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  void finds(std::vector<Holder> holders) {
    const std::lock_guard lock(mutex_);
    holders_ = std::move(holders);
  }
  void stops() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    stopped_ = false;
    wake_.notify_all();
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  void serve() {
    const int flags = ::fcntl(listener_.get(), F_GETFL);
    ::fcntl(listener_.get(), F_SETFL, flags & ~O_NONBLOCK);
    for (;;) {
      const os::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      std::string problem;
      wire::ScanRequest request;
      const std::string body = net::receive_frame(peer.get(), wire::kMaxScanQuestion, problem);
      if (!problem.empty() || !wire::decode_scan(body, request).empty()) continue;
      ++asked_;
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !stopped_; });
      HolderScan scan;
      scan.prefix = request.path;
      scan.holders = holders_;
      scan.verdict = holders_.empty() ? HolderVerdict::kClear : HolderVerdict::kHeld;
      lock.unlock();
      (void)net::send_frame(peer.get(), wire::encode_scan(scan));
    }
  }

  os::UniqueFd listener_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Holder> holders_;
  bool stopped_ = false;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

Holder one_with_files(pid_t pid, std::uint64_t started) {
  Holder holder;
  holder.pid = pid;
  holder.started = started;
  holder.command = "tail";
  holder.held = {{HeldBy::kDescriptor, 1}};
  return holder;
}
// The test's own process, which its operators and backends are of.
Holder own_one() { return one_with_files(::getpid(), os::start_time(::getpid()).value_or(0)); }

class ControlHoldsTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    ControlPlaneTest::SetUp();
    settings_.scan_socket = *dir_ / "scan.sock";
    options_.core.hold_scan_interval = kNever;
    options_.core.verify_scan_interval = std::chrono::milliseconds(1);
  }
  void TearDown() override {
    scans_.reset();
    ControlPlaneTest::TearDown();
  }
  PlayedScans& scans() {
    if (!scans_) scans_.emplace(settings_.scan_socket);
    return *scans_;
  }
  static wire::StartBroadcast leased(std::string path) {
    wire::StartBroadcast start = release(std::move(path));
    start.request.hold = HoldRequest{true, std::nullopt};
    return start;
  }
  static wire::StartBroadcast timed(std::string path) {
    wire::StartBroadcast start = release(std::move(path));
    start.request.hold = HoldRequest{false, kNever};
    return start;
  }
  static const BroadcastReport& report_of(const TestOperator& op) {
    return std::get<BroadcastReport>(std::get<wire::ControlResponse>(op.last().message));
  }
  static const HoldInfo& hold_of(const TestOperator& op) {
    return std::get<HoldInfo>(std::get<wire::ControlResponse>(op.last().message));
  }
  // The operator's report of a release that the backend acks.
  std::string released(TestOperator& op, TestBackend& backend, std::uint64_t number) {
    const std::string heard = backend.hears();
    EXPECT_THAT(heard, HasSubstr("release-handles"));
    const auto id = std::get<OutgoingOperation>(backend.last().message).broadcast_id;
    EXPECT_EQ(std::get<OutgoingOperation>(backend.last().message).hold_id, id);
    backend.acks(id);
    const std::string report = op.hears();
    EXPECT_THAT(report, HasSubstr(std::to_string(number) + " report"));
    return report;
  }

  std::optional<PlayedScans> scans_;
};

TEST_F(ControlHoldsTest, ALeasedHoldEndsWithItsConnection) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, leased("/cache"));
  released(op, backend, 1);
  ASSERT_TRUE(report_of(op).hold);
  EXPECT_TRUE(report_of(op).hold->leased);
  EXPECT_NE(report_of(op).hold->since_unix_ms, 0U);
  EXPECT_FALSE(report_of(op).hold->ended);
  op.asks(2, wire::ListHolds{});
  EXPECT_EQ(op.hears(), "2 holds 100");
  op.closes();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  EXPECT_EQ(std::get<HoldEnded>(backend.last().message).why, HoldEnd::kAbandoned);
  EXPECT_TRUE(was_logged("operator of a hold disconnected hold=100")) << logged();
  TestOperator& other = connect();
  other.asks(1, wire::ListHolds{});
  EXPECT_EQ(other.hears(), "1 holds");
}

TEST_F(ControlHoldsTest, AnOperatorThatGoesWhileBackendsAreAskedLeavesNoHold) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, leased("/cache"));
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  op.closes();
  while (!was_logged("operator of a hold disconnected")) ASSERT_TRUE(run_one());
  backend.acks(100);
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, AHoldWithATimeOutlivesItsConnection) {
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto detached = timed("/cache");
  detached.detach = true;
  op.asks(1, detached);
  EXPECT_EQ(op.hears(), "1 accepted 100: 1 asked, 0 dead");
  op.closes();
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  TestOperator& other = connect();
  other.asks(1, wire::GetReport{100, true});
  EXPECT_THAT(other.hears(), HasSubstr("1 report 100 finished"));
  other.asks(2, wire::ListHolds{});
  EXPECT_EQ(other.hears(), "2 holds 100");
  EXPECT_EQ(backend.has_heard(), "nothing");
  other.asks(3, wire::EndHold{100});
  EXPECT_EQ(other.hears(), "3 hold 100 completed");
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  other.asks(4, wire::EndHold{100});
  EXPECT_THAT(other.hears(), HasSubstr("4 error (not found): hold 100 ended at "));
  EXPECT_TRUE(was_logged("operator ended a hold hold=100")) << logged();
}

TEST_F(ControlHoldsTest, AHoldThatWouldEndAtOnceOrNeverIsRefused) {
  start();
  TestOperator& op = connect();
  auto detached = leased("/cache");
  detached.detach = true;
  op.asks(1, detached);
  EXPECT_EQ(op.hears(),
            "1 error (invalid): a hold that ends with its connection cannot be detached from it: "
            "wait for the result, or give the hold a time instead");
  auto endless = release("/cache");
  endless.request.hold = HoldRequest{};
  op.asks(2, endless);
  EXPECT_THAT(op.hears(), HasSubstr("2 error (invalid): a hold without an end"));
  op.asks(3, wire::ListHolds{});
  EXPECT_EQ(op.hears(), "3 holds");
}

TEST_F(ControlHoldsTest, WhoJoinsABroadcastDoesNotTakeItsHold) {
  start();
  TestBackend& backend = join("a");
  TestOperator& first = connect();
  auto with_key = leased("/cache");
  with_key.request.operation_key = "k";
  first.asks(1, with_key);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  TestOperator& second = connect();
  second.asks(1, with_key);
  settle();
  backend.acks(100);
  EXPECT_THAT(first.hears(), HasSubstr("1 report 100"));
  EXPECT_THAT(second.hears(), HasSubstr("1 report 100"));
  second.closes();
  expect_it_answers();
  EXPECT_EQ(backend.has_heard(), "nothing");
  first.closes();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, WhoTakesUpAHoldHasItFromThenOn) {
  start();
  TestBackend& backend = join("a");
  TestOperator& first = connect();
  first.asks(1, leased("/cache"));
  released(first, backend, 1);
  TestOperator& second = connect();
  second.asks(1, wire::KeepHold{100});
  EXPECT_EQ(second.hears(), "1 hold 100 goes on");
  first.closes();
  expect_it_answers();
  EXPECT_EQ(backend.has_heard(), "nothing");
  second.asks(2, wire::KeepHold{77});
  EXPECT_THAT(second.hears(), HasSubstr("2 error (not found)"));
  second.closes();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
}

TEST_F(ControlHoldsTest, AnAnswerWithAHoldWaitsUntilTheHoldIsOnDisk) {
  std::deque<std::function<void()>> waiting;
  when_holds_kept_ = [&](std::function<void()> done) { waiting.push_back(std::move(done)); };
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  op.asks(1, leased("/cache"));
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  op.asks(2, release("/other"));
  EXPECT_EQ(backend.hears(), "operation 101: release-handles /other");
  backend.acks(101);
  EXPECT_THAT(op.hears(), HasSubstr("2 report 101")) << "it has no hold";
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(op.has_heard(), "nothing");
  waiting.front()();
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100 finished"));
  op.asks(3, wire::EndHold{100});
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  EXPECT_EQ(op.has_heard(), "nothing");
  ASSERT_EQ(waiting.size(), 2U);
  waiting.back()();
  EXPECT_EQ(op.hears(), "3 hold 100 completed");
}

// --- scans

TEST_F(ControlHoldsTest, AVerifiedReleaseSaysWhatTheKernelFound) {
  scans().finds({one_with_files(1, 1)});
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto verified = release("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100 finished"));
  ASSERT_TRUE(report_of(op).verification);
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kHeld);
  EXPECT_EQ(report_of(op).verification->scan.holders.front().command, "tail");
  scans().finds({});
  op.asks(2, verified);
  EXPECT_EQ(backend.hears(), "operation 101: release-handles /cache");
  backend.acks(101);
  EXPECT_THAT(op.hears(), HasSubstr("2 report 101 finished"));
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kClear);
}

TEST_F(ControlHoldsTest, TheOperatorItselfIsNoHolderWhileItIsConnected) {
  scans().finds({own_one()});
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto verified = timed("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  EXPECT_EQ(backend.hears(), "operation 100: release-handles /cache");
  backend.acks(100);
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100"));
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kClear);
  EXPECT_TRUE(report_of(op).verification->scan.holders.empty());
  op.asks(2, wire::FindHolders{"/cache"});
  EXPECT_EQ(op.hears(), "2 holders clear");

  // Another operator's end of the hold: the one that asked is gone, and with it what was its own.
  op.closes();
  settle();
  TestOperator& other = connect();
  other.asks(1, wire::EndHold{100});
  EXPECT_EQ(other.hears(), "1 hold 100 completed, 1 violations");
  const Holder& found = hold_of(other).state.violations.front().holder;
  EXPECT_EQ(found.pid, ::getpid());
  ASSERT_TRUE(found.backend) << "it is registered";
  EXPECT_EQ(found.backend->to_string(), "a 1.0.0");
}

TEST_F(ControlHoldsTest, AHoldWhoseEndIsScannedEndsAlsoWhenNobodyWaitsForIt) {
  scans();
  start();
  TestBackend& backend = join("a");
  TestOperator& op = connect();
  auto verified = timed("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  released(op, backend, 1);
  scans().stops();
  op.asks(2, wire::EndHold{100});
  while (scans().asked() < 2) ASSERT_TRUE(run_one());
  EXPECT_EQ(backend.has_heard(), "nothing");
  op.closes();
  expect_it_answers();
  scans().go_on();
  EXPECT_EQ(backend.hears(), "hold 100 ended");
  EXPECT_EQ(std::get<HoldEnded>(backend.last().message).why, HoldEnd::kCompleted);
}

TEST_F(ControlHoldsTest, AScanThatCannotBeMadeIsUnknownAndSaysWhy) {
  (void)os::listen_unix(settings_.scan_socket, 0600);  // nobody listens any more
  start();
  TestOperator& op = connect();
  auto verified = release("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  EXPECT_THAT(op.hears(), HasSubstr("1 report 100"));
  EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kUnknown);
  EXPECT_THAT(report_of(op).verification->scan.problem, HasSubstr("cannot be asked"));
  EXPECT_EQ(report_of(op).verification->scan.prefix, "/cache");
}

TEST_F(ControlHoldsTest, MoreScansThanMayWaitAreAnsweredAllTheSame) {
  scans().stops();
  start();
  TestOperator& op = connect();
  constexpr std::uint64_t kMost = daemon::HolderScans::kMostForBroadcastsOfUser;
  for (std::uint64_t number = 1; number <= kMost + 2; ++number) {
    auto verified = release("/cache");
    verified.request.verify = true;
    op.asks(number, verified);
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(op.hears(), HasSubstr("report"));
    EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kUnknown);
    EXPECT_THAT(report_of(op).verification->scan.problem, HasSubstr("other scans wait already"));
  }
  EXPECT_EQ(op.has_heard(), "nothing");
  scans().go_on();
  for (std::uint64_t i = 0; i < kMost; ++i) {
    EXPECT_THAT(op.hears(), HasSubstr("report"));
    EXPECT_EQ(report_of(op).verification->scan.verdict, HolderVerdict::kClear);
  }
}

TEST_F(ControlHoldsTest, WhoWatchesSeesTheHoldBeginBeViolatedAndEnd) {
  scans().finds({});
  start();
  TestBackend& backend = join("a");
  TestOperator& watcher = connect();
  watcher.asks(9, wire::Watch{});
  EXPECT_EQ(watcher.hears(), "9 watching");
  TestOperator& op = connect();
  auto verified = timed("/cache");
  verified.request.verify = true;
  op.asks(1, verified);
  released(op, backend, 1);
  scans().finds({one_with_files(1, 1)});
  op.asks(2, wire::EndHold{100});
  EXPECT_EQ(op.hears(), "2 hold 100 completed, 1 violations");
  std::string kinds;
  for (bool is_over = false; !is_over;) {
    const std::string heard = watcher.hears();
    ASSERT_THAT(heard, HasSubstr("9 event"));
    const auto& event = std::get<Event>(watcher.last().message);
    is_over = event.kind == Event::Kind::kHoldEnded;
    if (event.kind == Event::Kind::kVerifying) kinds += "verifying ";
    if (event.kind == Event::Kind::kHoldStarted) kinds += "started ";
    if (event.kind == Event::Kind::kHoldViolated) kinds += "violated ";
    if (is_over) kinds += "ended ";
  }
  EXPECT_EQ(kinds, "started verifying violated ended ");
}

}  // namespace
}  // namespace muster::test
