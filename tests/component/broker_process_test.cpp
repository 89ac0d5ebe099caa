// Which process a connection belongs to: one watch for each process, and what kernels that know
// less leave unsaid.
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/process_watch.h"
#include "component/deaf_events.h"
#include "support/child.h"
#include "support/open_descriptors.h"
#include "support/test_backend.h"
#include "support/test_transport.h"

namespace muster::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ProcessWatchTest : public ::testing::Test {
 protected:
  void settle() {
    context_.restart();
    while (context_.poll() > 0) {
    }
  }
  // The peer as os::peer_of() gives it for a process that runs.
  static os::Peer peer_of(pid_t pid) {
    std::error_code error;
    os::Peer peer;
    peer.pidfd = os::pidfd_of_pid(pid, error);
    peer.process = os::identify(pid, peer.pidfd.get());
    EXPECT_FALSE(error);
    return peer;
  }
  void add(std::uint32_t slot, os::Peer peer) { (void)watch_.add({slot, 1}, peer); }

  asio::io_context context_;
  test::DeafEvents deaf_;
  std::unique_ptr<Transport> transport_ =
      make_transport(test::test_transport(), context_, 1, deaf_);
  std::vector<std::uint32_t> exited_;
  ProcessWatch watch_{context_, *transport_, [this](ConnectionId connection) {
                        exited_.push_back(connection.slot);
                        watch_.remove(connection);
                      }};
};

TEST_F(ProcessWatchTest, AllConnectionsOfAProcessShareOneDescriptor) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  const long before = test::open_descriptors();
  for (std::uint32_t slot = 0; slot < 50; ++slot) add(slot, peer_of(child.pid()));
  EXPECT_EQ(test::open_descriptors(), before + 1);
  EXPECT_EQ(watch_.process_count(), 1u);
  for (std::uint32_t slot = 0; slot < 49; ++slot) watch_.remove({slot, 1});
  EXPECT_EQ(watch_.process_count(), 1u);
  watch_.remove({49, 1});
  EXPECT_EQ(watch_.process_count(), 0u);
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST_F(ProcessWatchTest, OnlyTheConnectionsOfTheProcessThatExitedAreReportedEachOnce) {
  test::Child one([](test::Child::Side& side) { side.wait_to_be_told(); });
  test::Child two([](test::Child::Side& side) { side.wait_to_be_told(); });
  for (std::uint32_t slot = 0; slot < 6; ++slot) {
    add(slot, peer_of(slot % 2 == 0 ? one.pid() : two.pid()));
  }
  watch_.remove({2, 1});
  one.kill();
  one.reap();
  settle();
  EXPECT_THAT(exited_, UnorderedElementsAre(0, 4));
  EXPECT_EQ(watch_.process_count(), 1u);
}

TEST_F(ProcessWatchTest, AConnectionOfAProcessThatExitedMeanwhileIsReportedToo) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  os::Peer early = peer_of(child.pid());
  os::Peer late = peer_of(child.pid());
  add(0, std::move(early));
  child.kill();
  child.reap();
  settle();
  add(1, std::move(late));
  settle();
  EXPECT_THAT(exited_, ElementsAre(0, 1));
  EXPECT_EQ(watch_.process_count(), 0u);
}

TEST_F(ProcessWatchTest, AProcessThatWasGoneAtAcceptIsReportedWithoutAPidfd) {
  os::Peer gone;
  gone.process.pid = 4711;
  gone.exited = true;
  add(3, std::move(gone));
  EXPECT_THAT(exited_, IsEmpty());  // not from inside add()
  settle();
  EXPECT_THAT(exited_, ElementsAre(3));
  EXPECT_EQ(watch_.process_count(), 0u);
}

TEST_F(ProcessWatchTest, AProcessRunsUntilItExitsWhetherTheLoopHasSeenThatOrNot) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  os::Peer peer = peer_of(child.pid());
  const os::ProcessIdentity process = peer.process;
  EXPECT_FALSE(watch_.still_runs(process)) << "nobody watches it";
  add(0, std::move(peer));
  EXPECT_TRUE(watch_.still_runs(process));
  EXPECT_FALSE(watch_.still_runs({process.pid, process.unique + 1}));
  child.kill();
  child.reap();
  EXPECT_FALSE(watch_.still_runs(process));
  settle();
  EXPECT_FALSE(watch_.still_runs(process));
}

TEST_F(ProcessWatchTest, AConnectionOfAProcessThatIsWatchedNeedsNoPidfdOfItsOwn) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  os::Peer first = peer_of(child.pid());
  os::Peer second;
  second.process = first.process;
  add(0, std::move(first));
  add(1, std::move(second));
  EXPECT_EQ(watch_.process_count(), 1u);
  child.kill();
  child.reap();
  settle();
  EXPECT_THAT(exited_, UnorderedElementsAre(0, 1));
}

TEST_F(ProcessWatchTest, AProcessThatCannotBeSeenIsWatchedByItsPidfd) {
  test::Child one([](test::Child::Side& side) { side.wait_to_be_told(); });
  test::Child two([](test::Child::Side& side) { side.wait_to_be_told(); });
  for (test::Child* const child : {&one, &two}) {
    os::Peer peer = peer_of(child->pid());
    peer.process = os::identify(0, peer.pidfd.get());
    const auto slot = static_cast<std::uint32_t>(child == &one ? 0 : 1);
    watch_.add({slot, 1}, peer);
    EXPECT_EQ(watch_.facts_of({slot, 1})->exe_problem, "it is in another pid namespace");
  }
  EXPECT_EQ(watch_.process_count(), 2u);
  one.kill();
  one.reap();
  settle();
  EXPECT_THAT(exited_, ElementsAre(0));
}

TEST_F(ProcessWatchTest, AProcessThatCannotBeSeenAndHasNoPidfdIsNotWatched) {
  add(0, {});
  EXPECT_EQ(watch_.process_count(), 0u);
  watch_.remove({0, 1});
  settle();
  EXPECT_THAT(exited_, IsEmpty());
}

TEST_F(ProcessWatchTest, ProcessesWithoutAnIdentityAreNotTakenForEachOther) {
  test::Child one([](test::Child::Side& side) { side.wait_to_be_told(); });
  test::Child two([](test::Child::Side& side) { side.wait_to_be_told(); });
  os::Peer first = peer_of(one.pid());
  os::Peer second = peer_of(two.pid());
  first.process = second.process = {1, 0};
  add(0, std::move(first));
  add(1, std::move(second));
  EXPECT_EQ(watch_.process_count(), 2u);
  two.kill();
  two.reap();
  settle();
  EXPECT_THAT(exited_, ElementsAre(1));
}

TEST_F(ProcessWatchTest, ARemovedConnectionIsNotReportedWhileOthersAre) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  for (std::uint32_t slot = 0; slot < 3; ++slot) add(slot, peer_of(child.pid()));
  child.kill();
  child.reap();
  // Found to be gone, but not reported yet.
  transport_->drain_all();
  watch_.remove({1, 1});
  settle();
  EXPECT_THAT(exited_, UnorderedElementsAre(0, 2));
}

TEST_F(ProcessWatchTest, WhatProgramAProcessIsIsLookedUpOnceAndKnownToAllItsConnections) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  os::Peer one = peer_of(child.pid());
  os::Peer two = peer_of(child.pid());
  watch_.add({0, 1}, one);
  watch_.add({1, 1}, two);
  const auto facts = watch_.facts_of({1, 1});
  EXPECT_EQ(facts->exe, std::filesystem::canonical("/proc/self/exe").native());
  EXPECT_EQ(watch_.facts_of({0, 1}), facts);
  EXPECT_EQ(watch_.facts_of({7, 1}), nullptr) << "no connection";
}

TEST_F(ProcessWatchTest, OfWhomThereIsNoPidfdNothingButThatIsKnown) {
  os::Peer invisible;
  watch_.add({0, 1}, invisible);
  EXPECT_EQ(watch_.facts_of({0, 1})->exe_problem, "it is in another pid namespace");
  os::Peer gone;
  gone.process.pid = 4711;
  gone.exited = true;
  watch_.add({1, 1}, gone);
  EXPECT_EQ(watch_.facts_of({1, 1})->exe_problem, "the process has exited");
  settle();
}

}  // namespace
}  // namespace muster::broker
