// muster-scan and the broker that asks it: questions, answers, and bytes that are neither.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "muster-scan/scan_service.h"
#include "musterd/control/holder_scans.h"
#include "net/blocking_frames.h"
#include "os/holders/family.h"
#include "os/holders/scan.h"
#include "os/peer.h"
#include "os/unique_fd.h"
#include "support/child.h"
#include "support/file_holding.h"
#include "support/temp_dir.h"
#include "wire/holders.h"

namespace muster::test {
namespace {

using namespace std::chrono_literals;
using daemon::HolderScans;

struct BlockingPair {
  BlockingPair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  os::UniqueFd ours;
  os::UniqueFd theirs;
};

os::UniqueFd listen_at(const std::filesystem::path& path) {
  os::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(listener.get(), 8), 0);
  return listener;
}

class MusterScan : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(path());
    std::ofstream(path() + "/file") << "content";
  }
  [[nodiscard]] std::string path() const { return (directory_ / "cache").native(); }
  [[nodiscard]] std::filesystem::path socket() const { return directory_ / "scan.sock"; }
  [[nodiscard]] wire::ScanRequest question() const {
    wire::ScanRequest request;
    request.path = path();
    request.mount_namespace = os::own_mount_namespace();
    return request;
  }
  // What muster-scan says to these bytes, sent at once by a peer that sends no more.
  struct Said {
    std::string problem;  // as it would log it
    HolderScan scan;
    std::string unread;  // why the answer could not be read
  };
  static Said said_to(const std::string& body) {
    const BlockingPair pair;
    const auto& [ours, theirs] = pair;
    EXPECT_EQ(net::send_frame(ours.get(), body), "");
    Said said;
    said.problem = scan::answer(theirs.get(), 5s);
    const std::string answer = net::receive_frame(ours.get(), wire::kMaxScanBody, said.unread);
    if (said.unread.empty()) said.unread = wire::decode_scan(answer, said.scan);
    return said;
  }

  TempDir directory_;
};

TEST_F(MusterScan, AnswersWithWhatAScanFinds) {
  Child child([this](Child::Side& test) {
    must_open(path() + "/file", O_RDONLY);
    test.say("holds\n");
    test.wait_to_be_told();
  });
  ASSERT_EQ(child.hear(), "holds");
  const Said said = said_to(wire::encode_scan(question()));
  EXPECT_EQ(said.problem, "");
  EXPECT_EQ(said.unread, "");
  EXPECT_EQ(said.scan.verdict, HolderVerdict::kHeld);
  ASSERT_FALSE(said.scan.holders.empty());
  EXPECT_EQ(said.scan.holders[0].pid, child.pid());
  EXPECT_EQ(said.scan.holders[0].example, path() + "/file");
}

TEST_F(MusterScan, WhatIsNoQuestionIsAnsweredWithTheReasonAndNeverClear) {
  wire::ScanRequest relative = question();
  relative.path = "cache";
  wire::ScanRequest dots = question();
  dots.path = path() + "/../cache";
  wire::ScanRequest elsewhere = question();
  elsewhere.mount_namespace += 1;
  for (const std::string& body :
       {std::string("\xff\xff"), std::string(), wire::encode_scan(relative),
        wire::encode_scan(dots), wire::encode_scan(elsewhere)}) {
    const Said said = said_to(body);
    EXPECT_EQ(said.unread, "");
    EXPECT_NE(said.scan.problem, "");
    EXPECT_EQ(said.scan.verdict, HolderVerdict::kUnknown);
  }
}

TEST_F(MusterScan, ATooLongQuestionAndHalfOfOneEndTheConnection) {
  const BlockingPair pair;
  const auto& [ours, theirs] = pair;
  EXPECT_EQ(net::send_frame(ours.get(), std::string(wire::kMaxScanQuestion + 1, 'x')), "");
  EXPECT_NE(scan::answer(theirs.get(), 5s), "");

  const BlockingPair second;
  const auto& [half, other] = second;
  ASSERT_EQ(::send(half.get(), "\x01\x10\x00", 3, 0), 3);
  EXPECT_EQ(scan::answer(other.get(), 10ms), "no question came: nothing came in time");
  ::shutdown(half.get(), SHUT_WR);
  EXPECT_NE(scan::answer(other.get(), 5s), "");
}

TEST_F(MusterScan, BoundsWhatAQuestionMayAskFor) {
  wire::ScanRequest greedy = question();
  greedy.max_holders = greedy.max_unseen = greedy.max_lease_ms = 0xFFFF'FFFF;
  greedy.max_lease_files = ~std::uint64_t{0};
  const wire::ScanRequest within = scan::within_limits(greedy);
  EXPECT_EQ(within.max_holders, 1'000u);
  EXPECT_EQ(within.max_unseen, 1'000u);
  EXPECT_EQ(within.max_lease_files, 100'000u);
  EXPECT_EQ(within.max_lease_ms, 10'000u);
}

TEST_F(MusterScan, AnAnswerThatContradictsItselfIsNone) {
  HolderScan scan;
  scan.prefix = "/cache";
  scan.verdict = HolderVerdict::kClear;
  HolderScan read;
  EXPECT_EQ(wire::decode_scan(wire::encode_scan(scan), read), "");
  EXPECT_EQ(read, scan);
  for (const auto& contradict :
       {+[](HolderScan& one) { one.holders.emplace_back(); },
        +[](HolderScan& one) { one.unseen.emplace_back(); },
        +[](HolderScan& one) { one.problem = "no"; }, +[](HolderScan& one) { one.leases.busy = 1; },
        +[](HolderScan& one) { one.more_unseen = 1; },
        +[](HolderScan& one) { one.more_holders = 1; }}) {
    HolderScan wrong = scan;
    contradict(wrong);
    EXPECT_NE(wire::decode_scan(wire::encode_scan(wrong), read), "");
  }
}

// --- the side that asks

TEST_F(MusterScan, WithoutItTheBrokerLooksItself) {
  const HolderScan scan = daemon::scan_with_rights(socket(), question(), 5s);
  EXPECT_EQ(scan.problem, "");
  EXPECT_EQ(scan.prefix, path());
  EXPECT_GT(scan.processes, 0u);
}

TEST_F(MusterScan, OneThatIsThereAndDoesNotAnswerIsAProblemAndNeverClear) {
  wire::ScanRequest request = question();
  listen_at(socket()).reset();  // nobody listens any more
  const HolderScan refused = daemon::scan_with_rights(socket(), request, 5s);
  EXPECT_NE(refused.problem.find("cannot be asked"), std::string::npos) << refused.problem;
  EXPECT_EQ(refused.verdict, HolderVerdict::kUnknown);
  std::filesystem::remove(socket());
  const auto listener = listen_at(socket());
  const HolderScan silent = daemon::scan_with_rights(socket(), request, 20ms);
  EXPECT_NE(silent.problem.find("gave no answer: nothing came in time"), std::string::npos)
      << silent.problem;
  EXPECT_EQ(silent.verdict, HolderVerdict::kUnknown);
}

class MusterScanOfUsers : public MusterScan {
 protected:
  using For = daemon::WantedScan::For;

  [[nodiscard]] daemon::WantedScan wanted(uid_t user, For who = For::kOperator) const {
    daemon::WantedScan scan;
    scan.user = user;
    scan.who = who;
    scan.request = question();
    return scan;
  }
  // Notes whose it is when it is done.
  [[nodiscard]] bool asks(HolderScans& scans, uid_t user, For who = For::kOperator) {
    return scans.scan(wanted(user, who), [this, user, who](const HolderScan& scan) {
      EXPECT_EQ(scan.verdict, HolderVerdict::kUnknown);
      EXPECT_NE(scan.problem, "");
      done_ += std::to_string(user) + (who == For::kBroadcast ? "b " : " ");
      ++count_;
    });
  }
  void run_until(int count) {
    while (count_ < count) {
      loop_.restart();
      loop_.run_for(10ms);
    }
  }

  asio::io_context loop_;
  std::string done_;
  int count_ = 0;
};

TEST_F(MusterScanOfUsers, FewOfEachUserWait) {
  os::UniqueFd listener = listen_at(socket());  // takes questions, answers none yet
  HolderScans scans(loop_.get_executor(), socket());
  EXPECT_TRUE(asks(scans, 1000));
  EXPECT_TRUE(asks(scans, 1000));
  EXPECT_FALSE(asks(scans, 1000)) << "two of one user are enough";
  EXPECT_TRUE(asks(scans, 1001)) << "another user is not shut out";
  EXPECT_TRUE(asks(scans, 1000, For::kBroadcast)) << "nor is what a broadcast waits for";
  listener.reset();
  run_until(4);
  EXPECT_TRUE(asks(scans, 1000)) << "their places are free again";
  run_until(5);
}

TEST_F(MusterScanOfUsers, TakeTurnsAndWhatBroadcastsWaitForComesFirst) {
  os::UniqueFd listener = listen_at(socket());
  HolderScans scans(loop_.get_executor(), socket());
  EXPECT_TRUE(asks(scans, 7));  // runs
  EXPECT_TRUE(asks(scans, 7));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(asks(scans, 7, For::kBroadcast));
  EXPECT_TRUE(asks(scans, 9));
  EXPECT_TRUE(asks(scans, 8, For::kBroadcast));
  EXPECT_TRUE(asks(scans, 8, For::kBroadcast));
  EXPECT_TRUE(asks(scans, 8));
  listener.reset();
  run_until(9);
  EXPECT_EQ(done_, "7 8b 9 7b 8b 7b 8 7b 7 ");
}

TEST_F(MusterScanOfUsers, OfBroadcastsAreBoundedOfOneUserAndInAll) {
  os::UniqueFd listener = listen_at(socket());
  HolderScans scans(loop_.get_executor(), socket());
  std::size_t taken = 0;
  for (uid_t user = 1; user <= 5; ++user) {
    std::size_t of_user = 0;
    while (asks(scans, user, For::kBroadcast)) ++of_user;
    EXPECT_EQ(of_user, user <= 4 ? HolderScans::kMostForBroadcastsOfUser : 0U);
    taken += of_user;
  }
  EXPECT_EQ(taken, HolderScans::kMostForBroadcasts);
  EXPECT_TRUE(asks(scans, 5)) << "operators have places of their own";
  listener.reset();
  run_until(static_cast<int>(taken) + 1);
}

// --- whoever asks

class MusterScanOwnProcesses : public MusterScan {
 protected:
  // A scan of the test's processes alone: the host may have others.
  [[nodiscard]] HolderScan scanned(
      std::optional<os::ProcessStart> without,
      std::optional<std::uint64_t> children_after = std::nullopt) const {
    daemon::WantedScan wanted;
    wanted.request = question();
    wanted.who = daemon::WantedScan::For::kBroadcast;
    wanted.without = without;
    wanted.children_after = children_after;
    return daemon::scan_as_wanted(socket(), wanted, 5s);
  }
  static std::string pids_of(const HolderScan& scan) {
    std::string pids;
    for (const Holder& one : scan.holders) {
      if (!one.possibly) pids += std::to_string(one.pid) + ' ';  // else another test's
    }
    return pids;
  }
  static os::ProcessStart start_of(pid_t pid) { return {pid, os::start_time(pid).value_or(0)}; }
  // What a child does that keeps the file open, as does a child of its own.
  void hold_with_a_child(Child::Side& test) const {
    must_open(path() + "/file", O_RDONLY);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) ::pause();
    }
    test.say(std::to_string(grandchild) + '\n');
    test.wait_to_be_told();
    ::kill(grandchild, SIGKILL);
  }
};

TEST_F(MusterScanOwnProcesses, WhoAsksAndItsDescendantsAreNoHolders) {
  Child operator_process([this](Child::Side& test) { hold_with_a_child(test); });
  const pid_t grandchild = std::stoi(operator_process.hear());
  const HolderScan all = scanned(std::nullopt);
  EXPECT_EQ(all.verdict, HolderVerdict::kHeld);
  EXPECT_NE(pids_of(all).find(std::to_string(operator_process.pid())), std::string::npos);
  EXPECT_NE(pids_of(all).find(std::to_string(grandchild)), std::string::npos);

  const HolderScan others = scanned(start_of(operator_process.pid()));
  EXPECT_EQ(pids_of(others), "");
  // The kernel says that the file is open, and not that nobody else has it open.
  EXPECT_GT(others.leases.refused, 0U);
  EXPECT_FALSE(others.held_by_unknown());
  EXPECT_EQ(others.verdict, HolderVerdict::kUnknown);
  // A child that it had before it asked is not what it does now.
  const std::uint64_t started = os::start_time(grandchild).value_or(0);
  EXPECT_EQ(pids_of(scanned(start_of(operator_process.pid()), started)),
            std::to_string(grandchild) + ' ');
  EXPECT_EQ(pids_of(scanned(start_of(operator_process.pid()), started - 1)), "");
  EXPECT_GE(os::ticks_now(), started);
  // The parent of who asks is another one.
  EXPECT_EQ(pids_of(scanned(start_of(grandchild))), std::to_string(operator_process.pid()) + ' ');
  operator_process.tell();
  operator_process.reap();
}

TEST_F(MusterScanOwnProcesses, AWorkingDirectoryOfWhoAsksAloneIsClear) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sees everything";
  Child operator_process([this](Child::Side& test) {
    must(::chdir(path().c_str()), "chdir");
    test.say("there\n");
    test.wait_to_be_told();
  });
  ASSERT_EQ(operator_process.hear(), "there");
  EXPECT_EQ(scanned(std::nullopt).verdict, HolderVerdict::kHeld);
  const HolderScan others = scanned(start_of(operator_process.pid()));
  EXPECT_EQ(pids_of(others), "");
  if (others.unseen.empty()) {
    EXPECT_EQ(others.verdict, HolderVerdict::kClear);
  }
}

TEST_F(MusterScanOwnProcesses, AnotherProcessOfThatPidIsAHolder) {
  Child child([this](Child::Side& test) { hold_with_a_child(test); });
  const pid_t grandchild = std::stoi(child.hear());
  os::ProcessStart earlier = start_of(child.pid());
  --earlier.started;  // its pid was that of another one before
  const HolderScan scan = scanned(earlier);
  EXPECT_EQ(scan.verdict, HolderVerdict::kHeld);
  EXPECT_NE(pids_of(scan).find(std::to_string(child.pid())), std::string::npos);
  EXPECT_NE(pids_of(scan).find(std::to_string(grandchild)), std::string::npos);
  // Nor do others count as its own whose pids only look like it.
  EXPECT_EQ(scanned(os::ProcessStart{child.pid() * 10, 1}).verdict, HolderVerdict::kHeld);
  child.tell();
  child.reap();
}

}  // namespace
}  // namespace muster::test
