// A request about many backends keeps nobody else waiting: it is served in short turns of the loop.
#include <algorithm>
#include <ctime>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"
#include "os/process_setup.h"
#include "support/allocations.h"
#include "support/child.h"

namespace muster::test {
namespace {

using std::chrono::nanoseconds;

nanoseconds thread_cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

class ControlPlaneLoadTest : public ControlPlaneTest {
 protected:
  static constexpr int kBackends = 2'000;

  void SetUp() override {
    os::raise_descriptor_limit();
    ControlPlaneTest::SetUp();
    start();
    Registration registration = registration_of("service");
    for (int i = 0; i < 16; ++i) {
      registration.labels["label-" + std::to_string(i)] = std::string(60, 'v');
    }
    for (int i = 0; i < kBackends; ++i) {
      registration.key.replica = std::to_string(i);
      join(registration);
    }
    settle();
  }

  // Selectors that match nobody and are slow to find that out.
  static Selection selectors(std::size_t count, std::size_t terms) {
    Selection selection;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<SelectorTerm> list(terms, {"label.label-1", "*v*v*v*v*"});
      list.back().glob = "*v*v*v*x";
      selection.push_back(Selector::from_terms(std::move(list)).selector);
    }
    return selection;
  }

  // Serves what `op` asked until its answer is there; the CPU time of the longest turn.
  nanoseconds longest_turn(TestOperator& op, std::string& answer) {
    nanoseconds longest{};
    while ((answer = op.has_heard()) == "nothing") {
      const auto before = thread_cpu_time();
      if (!run_one()) break;
      longest = std::max(longest, thread_cpu_time() - before);
    }
    return longest;
  }
};

// The time that a request may keep others waiting; programs with a sanitizer take longer.
nanoseconds bound() { return std::chrono::milliseconds(counts_allocations() ? 10 : 100); }

TEST_F(ControlPlaneLoadTest, NoRequestKeepsOthersWaiting) {
  auto slow_start = release("/cache");
  slow_start.request.selection = selectors(16, 16);
  auto dry_run = slow_start;
  dry_run.dry_run = true;
  const std::vector<std::pair<decltype(wire::ControlRequestFrame::message), std::string>> requests{
      {wire::ListBackends{selectors(16, 16)}, "1 backends"},
      {wire::ListBackends{selectors(256, 1)}, "1 backends"},
      {wire::ListBackends{}, "1 backends live service"},
      {slow_start, "1 report "},
      {dry_run, "1 would ask"},
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    TestOperator& op = connect();
    settle();
    std::visit([&](const auto& message) { op.asks(1, message); }, requests[i].first);
    std::string answer;
    EXPECT_LT(longest_turn(op, answer).count(), bound().count());
    EXPECT_EQ(answer.substr(0, requests[i].second.size()), requests[i].second);
  }
}

TEST_F(ControlPlaneLoadTest, APingIsAnsweredWhileALongListIsMade) {
  TestOperator& lister = connect();
  TestOperator& other = connect();
  settle();
  lister.asks(1, wire::ListBackends{selectors(256, 1)});
  ASSERT_TRUE(run_one());
  other.asks(1, wire::Ping{});
  EXPECT_EQ(other.hears(), "1 pong");
  EXPECT_EQ(lister.has_heard(), "nothing") << "it was answered before: this shows nothing";
  EXPECT_EQ(lister.hears(), "1 backends");
}

TEST_F(ControlPlaneLoadTest, AQuiesceOfManyAndItsEndKeepNobodyWaiting) {
  TestOperator& op = connect();
  wire::StartBroadcast quiesce;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  quiesce.request.ack_timeout = kNever;
  quiesce.detach = true;
  settle();
  op.asks(1, quiesce);
  std::string answer;
  EXPECT_LT(longest_turn(op, answer).count(), bound().count());
  EXPECT_EQ(answer, "1 accepted 100: 2000 asked, 0 dead");
  for (TestBackend& backend : backends_) {
    EXPECT_EQ(backend.hears(), "operation 100: quiesce (maintenance)");
    backend.acks(100);
  }
  settle();
  op.asks(2, wire::Resume{});
  EXPECT_LT(longest_turn(op, answer).count(), bound().count());
  EXPECT_EQ(answer, "2 resumed 2000, cannot resume 0");
}

// Each turn is short, but so many connections take it one after the other.
TEST_F(ControlPlaneLoadTest, TheConnectionsOfOneUserKeepAnotherWaitingForOneTurnTogether) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  constexpr uid_t kNobody = 65534;
  constexpr std::size_t kConnections = 30;
  ASSERT_EQ(::chmod(dir_->path().c_str(), 0711), 0);
  ASSERT_EQ(::chmod((*dir_ / "control.sock").c_str(), 0666), 0);
  Child crowd([&](Child::Side& side) {
    if (::setresuid(kNobody, kNobody, kNobody) != 0) return;
    std::vector<os::UniqueFd> all;
    wire::ControlRequestFrame list;
    list.message = wire::ListBackends{};
    for (std::size_t i = 0; i < kConnections; ++i) {
      all.push_back(connect_unix(*dir_ / "control.sock"));
      for (list.request_id = 1; list.request_id <= 5; ++list.request_id) {
        const std::string frame = wire::encode(list);
        if (::send(all.back().get(), frame.data(), frame.size(), 0) < 0) return;
      }
    }
    side.say("asked");
    side.wait_to_be_told();
  });
  TestOperator& other = connect();
  ASSERT_EQ(crowd.hear(), "asked");
  while (control_->session_count() < kConnections + 1) ASSERT_TRUE(run_one());
  nanoseconds longest{};
  for (int i = 1; i <= 20; ++i) {
    other.asks(static_cast<std::uint64_t>(i), wire::Ping{});
    const auto before = thread_cpu_time();
    EXPECT_EQ(other.hears(), std::to_string(i) + " pong");
    longest = std::max(longest, thread_cpu_time() - before);
  }
  EXPECT_LT(longest.count(), bound().count());
}

TEST_F(ControlPlaneLoadTest, TheTermsOfARequestAreBoundedOverAllItsSelectors) {
  TestOperator& op = connect();
  op.asks(9, wire::Ping{});  // the first message is a small one
  EXPECT_EQ(op.hears(), "9 pong");
  op.asks(1, wire::ListBackends{selectors(256, 16)});
  EXPECT_EQ(op.hears(),
            "1 error (invalid): the selection has 4096 terms, and a request may have 256: select "
            "with fewer, or ask in parts");
  auto start = release("/cache");
  start.request.selection = selectors(17, 16);
  op.asks(2, start);
  EXPECT_NE(op.hears().find("2 error (invalid): the selection has 272 terms"), std::string::npos);
  op.asks(3, wire::ListBackends{selectors(256, 1)});
  EXPECT_EQ(op.hears(), "3 backends");
}

TEST_F(ControlPlaneLoadTest, AListIsThatOfOneInstant) {
  TestOperator& lister = connect();
  settle();
  lister.asks(1, wire::ListBackends{});
  ASSERT_TRUE(run_one());  // its first turn: the instant
  backends_.front().deregisters(2);
  const std::string all = lister.hears();
  EXPECT_EQ(std::count(all.begin(), all.end(), 'l'), kBackends) << "each is live";
}

}  // namespace
}  // namespace muster::test
