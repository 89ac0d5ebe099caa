// muster-scan and the broker that asks it: questions, answers, and bytes that are neither.
#include <array>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "muster-scan/scan_service.h"
#include "musterd/control/holder_scans.h"
#include "net/blocking_frames.h"
#include "os/holders/scan.h"
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

TEST_F(MusterScan, OneScanAtATimeAndFewOfEachUser) {
  asio::io_context loop;
  os::UniqueFd listener = listen_at(socket());  // takes questions, answers none yet
  HolderScans scans(loop.get_executor(), socket());
  int done = 0;
  const auto count = [&](const HolderScan& scan) {
    EXPECT_EQ(scan.verdict, HolderVerdict::kUnknown);
    ++done;
  };
  EXPECT_TRUE(scans.scan(1000, question(), count));
  EXPECT_TRUE(scans.scan(1000, question(), count));
  EXPECT_FALSE(scans.scan(1000, question(), count)) << "two of one user are enough";
  EXPECT_TRUE(scans.scan(1001, question(), count)) << "another user is not shut out";
  listener.reset();
  while (done < 3) {
    loop.restart();
    loop.run_for(10ms);
  }
  EXPECT_TRUE(scans.scan(1000, question(), count)) << "their places are free again";
  while (done < 4) {
    loop.restart();
    loop.run_for(10ms);
  }
}

}  // namespace
}  // namespace muster::test
