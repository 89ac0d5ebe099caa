// The files that muster-fake-backend keeps open, between a broker that a test plays and the kernel
// that says what is open.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"
#include "support/scripted_broker.h"
#include "support/temp_dir.h"

namespace muster::test {
namespace {

namespace fs = std::filesystem;

class FakeBackendHoldsTest : public ::testing::Test {
 protected:
  FakeBackendHoldsTest() {
    fs::create_directory(cache_.parent_path());
    std::ofstream(cache_) << "cached";
  }

  [[nodiscard]] Process start(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{program("muster-fake-backend"),
                                 "--socket-dir",
                                 dir_.path().native(),
                                 "--service",
                                 "cached",
                                 "--keep-open",
                                 cache_.native()};
    all.insert(all.end(), more.begin(), more.end());
    return Process(std::move(all));
  }
  ScriptedPeer welcome(std::vector<ActiveHold> holds = {}) {
    ScriptedPeer peer = broker_.accept();
    (void)peer.next();
    peer.registered(1, std::move(holds));
    return peer;
  }
  // As the kernel has it.
  [[nodiscard]] bool is_open(const Process& backend) const {
    for (const auto& fd :
         fs::directory_iterator("/proc/" + std::to_string(backend.pid()) + "/fd")) {
      std::error_code gone;
      if (fs::read_symlink(fd, gone).native().starts_with(cache_.native())) return true;
    }
    return false;
  }
  [[nodiscard]] std::string folder() const { return cache_.parent_path().native(); }

  TempDir dir_;
  const fs::path cache_ = dir_.path() / "cache" / "file";
  ScriptedBroker broker_{dir_.path()};
};

TEST_F(FakeBackendHoldsTest, WhatAReleaseClosesIsOpenedAgainAtOnce) {
  Process backend = start();
  ScriptedPeer peer = welcome();
  (void)backend.wait_for("opened " + cache_.native());
  EXPECT_TRUE(is_open(backend));
  peer.release(7, folder() + "d");
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_TRUE(is_open(backend)) << "another path";
  peer.release(8, folder());
  EXPECT_EQ(peer.next(), "Ack 8");
  (void)backend.wait_for("closed " + cache_.native());
  (void)backend.wait_for("opened " + cache_.native());
  EXPECT_TRUE(is_open(backend));
}

TEST_F(FakeBackendHoldsTest, WhatIsHeldStaysClosedUntilTheLastHoldEnds) {
  Process backend = start();
  ScriptedPeer peer = welcome();
  (void)backend.wait_for("opened");
  peer.hold(7, folder());
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_FALSE(is_open(backend)) << "it was closed before the ack";
  EXPECT_EQ(backend.wait_for("hold-started"), "hold-started 7 " + folder());
  peer.hold(8, "/elsewhere", cache_.native());
  EXPECT_EQ(peer.next(), "Ack 8");
  EXPECT_EQ(backend.wait_for("hold-started"), "hold-started 8 /elsewhere");
  peer.release(9, folder());
  EXPECT_EQ(peer.next(), "Ack 9");
  peer.hold_ended(7, HoldEnd::kCompleted);
  EXPECT_EQ(backend.wait_for("hold-ended"), "hold-ended 7 completed");
  EXPECT_FALSE(is_open(backend)) << "its alias is still held";
  peer.hold_ended(8, HoldEnd::kAbandoned);
  EXPECT_EQ(backend.wait_for("hold-ended"), "hold-ended 8 abandoned");
  (void)backend.wait_for("opened");
  EXPECT_TRUE(is_open(backend));
}

TEST_F(FakeBackendHoldsTest, OneThatStartsDuringAHoldOpensNothingUntilItEnds) {
  Process backend = start();
  ScriptedPeer peer = welcome({{5, folder(), 0, {}}, {6, {}, 0, {}}});
  EXPECT_EQ(backend.wait_for("hold-started"), "hold-started 5 " + folder());
  EXPECT_EQ(backend.wait_for("hold-started"), "hold-started 6");
  EXPECT_FALSE(is_open(backend));
  peer.close();
  ScriptedPeer again = broker_.accept();
  (void)again.next();
  again.registered(2, {{6, {}, 0, {}}});
  EXPECT_EQ(backend.wait_for("hold-ended"), "hold-ended 5 while-away");
  (void)backend.wait_for("opened");
  EXPECT_TRUE(is_open(backend));
}

TEST_F(FakeBackendHoldsTest, ABadlyBehavedOneOpensAHeldFileAgain) {
  Process backend = start({"--reopen-after", "1ms"});
  ScriptedPeer peer = welcome();
  (void)backend.wait_for("opened");
  peer.hold(7, folder());
  EXPECT_EQ(peer.next(), "Ack 7");
  (void)backend.wait_for("closed");
  (void)backend.wait_for("opened");
  EXPECT_TRUE(is_open(backend));
}

TEST_F(FakeBackendHoldsTest, ALiarAcksAndClosesNothing) {
  Process backend = start({"--never-close"});
  ScriptedPeer peer = welcome();
  (void)backend.wait_for("opened");
  peer.hold(7, folder());
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_TRUE(is_open(backend));
}

TEST_F(FakeBackendHoldsTest, WhoDoesNotAckClosesNothing) {
  Process backend = start({"--on-release", "reject", "--on-release", "ack"});
  ScriptedPeer peer = welcome();
  (void)backend.wait_for("opened");
  peer.hold(7, folder());
  EXPECT_EQ(peer.next(), "Failure 7 Rejected: told to reject");
  EXPECT_TRUE(is_open(backend));
  peer.hold(8, folder());
  EXPECT_EQ(peer.next(), "Ack 8");
  EXPECT_FALSE(is_open(backend));
}

TEST_F(FakeBackendHoldsTest, WhatCannotBeOpenedIsSaidAndADirectoryCanBeKept) {
  fs::remove_all(cache_.parent_path());
  Process backend = start({"--keep-open", dir_.path().native()});
  ScriptedPeer peer = welcome();
  EXPECT_EQ(backend.wait_for("cannot-open"),
            "cannot-open " + cache_.native() + ": No such file or directory");
  EXPECT_EQ(backend.wait_for("opened"), "opened " + dir_.path().native());
  peer.hold(7, dir_.path().native());
  EXPECT_EQ(peer.next(), "Ack 7");
  EXPECT_EQ(backend.wait_for("closed"), "closed " + dir_.path().native());
  fs::create_directory(cache_.parent_path());
  peer.hold_ended(7, HoldEnd::kExpired);
  EXPECT_EQ(backend.wait_for("opened"), "opened " + cache_.native()) << "made where it is missing";
  EXPECT_TRUE(fs::exists(cache_));
}

TEST_F(FakeBackendHoldsTest, ARelativePathIsAMistake) {
  const Finished done = run_program({program("muster-fake-backend"), "--service", "a",
                                     "--socket-dir", dir_.path().native(), "--keep-open", "file"});
  EXPECT_EQ(done.status, 2);
  EXPECT_NE(done.err.find("--keep-open: the path \"file\" is relative"), std::string::npos)
      << done.err;
}

}  // namespace
}  // namespace muster::test
