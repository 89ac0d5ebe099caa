// Who the kernel says is at the other end, and whether it still is.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/listener.h"
#include "os/peer.h"
#include "os/process_setup.h"
#include "support/child.h"
#include "support/temp_dir.h"
#include "support/test_backend.h"

namespace muster::os {
namespace {

struct SocketPair {
  SocketPair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  UniqueFd ours;
  UniqueFd theirs;
};

bool is_readable(int fd, int timeout_ms) {
  pollfd look{fd, POLLIN, 0};
  return ::poll(&look, 1, timeout_ms) == 1;
}

constexpr int kPatience = 10'000;  // ms until a test is given up

TEST(PeerTest, ThePeerOfASocketIsTheProcessThatConnectedIt) {
  const SocketPair pair;
  std::error_code error;
  const auto peer = peer_of(pair.ours.get(), error);
  ASSERT_TRUE(peer) << error.message();
  EXPECT_EQ(peer->process.pid, ::getpid());
  EXPECT_NE(peer->process.unique, 0u);
  EXPECT_EQ(peer->uid, ::getuid());
  EXPECT_EQ(peer->gid, ::getgid());
  ASSERT_TRUE(peer->pidfd);
  EXPECT_FALSE(peer->exited);
  EXPECT_FALSE(peer->trouble);
  EXPECT_FALSE(is_readable(peer->pidfd.get(), 0));
  EXPECT_EQ(pid_of_pidfd(peer->pidfd.get()), ::getpid());
}

TEST(PeerTest, ADescriptorThatIsNoSocketHasNoPeer) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  std::error_code error;
  EXPECT_FALSE(peer_of(in.get(), error));
  EXPECT_EQ(error, std::errc::not_a_socket);
}

TEST(PeerTest, TheSameProcessHasOneIdentityAndAnotherOneAnother) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  std::error_code error;
  const UniqueFd first = pidfd_of_pid(child.pid(), error);
  const UniqueFd again = pidfd_of_pid(child.pid(), error);
  const UniqueFd own = pidfd_of_pid(::getpid(), error);
  ASSERT_TRUE(first && again && own) << error.message();
  EXPECT_EQ(identify(child.pid(), first.get()), identify(child.pid(), again.get()));
  EXPECT_NE(identify(child.pid(), first.get()).unique, identify(::getpid(), own.get()).unique);
}

TEST(PeerTest, AProcessThatChangesItsUserIsTheSameProcess) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  constexpr uid_t kSomebody = 54'321;
  const SocketPair before;
  ASSERT_EQ(::seteuid(kSomebody), 0);
  const SocketPair after;
  ASSERT_EQ(::seteuid(0), 0);
  std::error_code error;
  const auto as_root = peer_of(before.ours.get(), error);
  const auto as_somebody = peer_of(after.ours.get(), error);
  ASSERT_TRUE(as_root && as_somebody) << error.message();
  EXPECT_EQ(as_root->uid, 0u);
  EXPECT_EQ(as_somebody->uid, kSomebody);
  EXPECT_EQ(as_root->process, as_somebody->process);
  EXPECT_NE(as_root->process.unique, 0u);
}

TEST(PeerTest, WithoutAPidfdTheStartTimeTellsProcessesApart) {
  const ProcessIdentity own = identify(::getpid(), -1);
  EXPECT_EQ(own.unique, start_time(::getpid()));
  EXPECT_NE(own.unique, 0u);
  // Started before us.
  EXPECT_LT(start_time(1).value_or(~0ULL), own.unique);
}

TEST(PeerTest, AnInvisibleProcessHasNoIdentity) { EXPECT_EQ(identify(0, -1), ProcessIdentity{}); }

TEST(PeerTest, AProcessThatIsGoneHasNoStartTime) {
  pid_t pid = 0;
  {
    const test::Child child([](test::Child::Side&) {});
    pid = child.pid();
  }
  EXPECT_EQ(start_time(pid), std::nullopt);
  EXPECT_EQ(identify(pid, -1).unique, 0u);
}

TEST(PeerTest, ACommandWithParenthesesAndSpacesDoesNotConfuseTheStartTime) {
  test::Child child([](test::Child::Side& side) {
    // The name in /proc/PID/stat.
    FILE* name = ::fopen("/proc/self/comm", "w");
    if (name != nullptr) {
      std::fputs(") R 1 (x) 9", name);
      std::fclose(name);
    }
    side.say("renamed");
    side.wait_to_be_told();
  });
  const auto before = start_time(::getpid());
  ASSERT_EQ(child.hear(), "renamed");
  ASSERT_TRUE(before);
  EXPECT_GE(start_time(child.pid()).value_or(0), *before);
}

TEST(PeerTest, APidfdTellsOfTheExitAndOfTheReaping) {
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  std::error_code error;
  const UniqueFd pidfd = pidfd_of_pid(child.pid(), error);
  ASSERT_TRUE(pidfd) << error.message();
  EXPECT_FALSE(is_readable(pidfd.get(), 0));
  child.tell();
  EXPECT_TRUE(is_readable(pidfd.get(), kPatience));
  child.reap();
  EXPECT_EQ(pid_of_pidfd(pidfd.get()), -1);
}

TEST(PeerTest, APeerThatIsGoneIsStillTheProcessThatConnected) {
  const test::TempDir dir;
  const Listening listening = listen_unix(dir / "s", 0600);
  ASSERT_EQ(listening.problem, "");
  test::Child child([&](test::Child::Side& side) {
    const UniqueFd socket = test::connect_unix(dir / "s");
    side.say("connected");
  });
  const pid_t pid = child.pid();
  ASSERT_EQ(child.hear(), "connected");
  child.reap();
  const UniqueFd accepted(::accept(listening.socket.get(), nullptr, nullptr));
  ASSERT_TRUE(accepted);

  std::error_code error;
  const auto peer = peer_of(accepted.get(), error);
  ASSERT_TRUE(peer) << error.message();
  EXPECT_EQ(peer->process.pid, pid);
  // Newer kernels still give a pidfd of a reaped process; others say that it is gone.
  EXPECT_TRUE(peer->exited || is_readable(peer->pidfd.get(), 0));
  EXPECT_FALSE(peer->trouble);
}

TEST(PeerTest, APeerInAnotherPidNamespaceIsKnownByItsPidfd) {
  const test::TempDir dir;
  // A broker inside a namespace does not see those outside.
  test::Child inside([&](test::Child::Side& side) {
    if (::unshare(CLONE_NEWPID) != 0) return side.say("cannot");
    if (::fork() != 0) {
      (void)::wait(nullptr);
      return;
    }
    const Listening listening = listen_unix(dir / "s", 0600);
    side.say("listening" + listening.problem);
    side.wait_to_be_told();
    for (int i = 0; i < 3; ++i) {
      const UniqueFd accepted(::accept(listening.socket.get(), nullptr, nullptr));
      std::error_code error;
      const auto peer = peer_of(accepted.get(), error);
      side.say("pid " + std::to_string(peer->process.pid) + " uid " + std::to_string(peer->uid) +
               (peer->exited ? " exited" : "") + (peer->trouble ? " in trouble" : ""));
      side.say((peer->pidfd ? "watched " : "not watched ") + std::to_string(peer->process.unique));
    }
  });
  const auto said = inside.hear();
  if (said == "cannot") GTEST_SKIP() << "no pid namespace can be made here";
  ASSERT_EQ(said, "listening");
  const UniqueFd first = test::connect_unix(dir / "s");
  const UniqueFd again = test::connect_unix(dir / "s");
  test::Child another([&](test::Child::Side& side) {
    const UniqueFd socket = test::connect_unix(dir / "s");
    side.say("connected");
    side.wait_to_be_told();
  });
  ASSERT_EQ(another.hear(), "connected");
  inside.tell();
  std::vector<std::string> known_by;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(inside.hear(), "pid 0 uid " + std::to_string(::getuid()));
    known_by.push_back(inside.hear());
  }
  another.tell();
  std::error_code unsupported;
  const SocketPair pair;
  if (!pidfd_of_peer(pair.ours.get(), unsupported)) {
    EXPECT_EQ(known_by, std::vector<std::string>(3, "not watched 0"));
    return;
  }
  EXPECT_EQ(known_by[0].rfind("watched ", 0), 0u) << known_by[0];
  EXPECT_EQ(known_by[1], known_by[0]) << "the same process";
  const UniqueFd own = pidfd_of_pid(::getpid(), unsupported);
  if (!pidfd_inode(own.get())) return;  // nothing tells them apart
  EXPECT_EQ(known_by[0], "watched " + std::to_string(*pidfd_inode(own.get())));
  EXPECT_NE(known_by[2], known_by[0]);
}

TEST(PeerTest, RunningOutOfDescriptorsIsToldApartFromAProcessThatIsGone) {
  const SocketPair pair;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  std::error_code error;
  const auto peer = peer_of(pair.ours.get(), error);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(peer);
  EXPECT_FALSE(peer->pidfd);
  EXPECT_FALSE(peer->exited);
  EXPECT_EQ(peer->trouble, std::errc::too_many_files_open);
}

TEST(DescriptorLimitTest, TheSoftLimitIsRaisedToTheHardOne) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const DescriptorLimit raised = raise_descriptor_limit();
  rlimit after{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(raised.before, 64u);
  EXPECT_EQ(raised.now, before.rlim_max);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  EXPECT_FALSE(raised.error);
}

// --- groups

TEST(PeerTest, ThePeersSupplementaryGroupsAreThoseThatItHadWhenItConnected) {
  std::vector<gid_t> own(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  ASSERT_EQ(::getgroups(static_cast<int>(own.size()), own.data()), static_cast<int>(own.size()));
  const SocketPair pair;
  EXPECT_EQ(groups_of_peer(pair.ours.get()), own);
  EXPECT_TRUE(groups_of_peer(-1).empty());
}

TEST(PeerTest, EvenWhenThereAreManyGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be in many groups";
  test::Child child([](test::Child::Side& side) {
    std::vector<gid_t> many;
    for (gid_t gid = 70'000; gid < 70'300; ++gid) many.push_back(gid);
    if (::setgroups(many.size(), many.data()) != 0) return;
    const SocketPair pair;
    const std::vector<gid_t> seen = groups_of_peer(pair.ours.get());
    side.say(seen == many ? "all" : std::to_string(seen.size()));
  });
  EXPECT_EQ(child.hear(), "all");
}

// --- what program it is

TEST(ProcessFactsTest, AProcessIsKnownByItsProgramAndItsStart) {
  std::error_code error;
  const UniqueFd self = pidfd_of_pid(::getpid(), error);
  const ProcessFacts facts = facts_of(::getpid(), self.get());
  EXPECT_EQ(facts.exe, std::filesystem::canonical("/proc/self/exe").native());
  EXPECT_EQ(facts.exe_problem, "");
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto now_ms = static_cast<std::uint64_t>(now.tv_sec) * 1000;
  EXPECT_LE(facts.started_unix_ms, now_ms + 1000);
  EXPECT_GE(facts.started_unix_ms + 3'600'000, now_ms) << "this test does not run for an hour";
}

TEST(ProcessFactsTest, OfAProcessThatHasExitedNothingIsTaken) {
  std::error_code error;
  test::Child child([](test::Child::Side& side) { side.wait_to_be_told(); });
  const UniqueFd pidfd = pidfd_of_pid(child.pid(), error);
  child.kill();
  ASSERT_TRUE(is_readable(pidfd.get(), kPatience));
  // Its pid is not free yet; as if it were, and somebody else's, who could be read well.
  const ProcessFacts facts = facts_of(::getpid(), pidfd.get());
  EXPECT_EQ(facts.exe, "");
  EXPECT_EQ(facts.exe_problem, "the process has exited");
  EXPECT_EQ(facts.started_unix_ms, 0u);
}

TEST(ProcessFactsTest, AKernelThreadHasNoProgram) {
  std::error_code error;
  const UniqueFd self = pidfd_of_pid(::getpid(), error);
  const ProcessFacts facts = facts_of(2, self.get());  // kthreadd, where it can be seen
  if (::access("/proc/2/exe", F_OK) == 0) GTEST_SKIP() << "pid 2 is no kernel thread here";
  EXPECT_EQ(facts.exe, "");
  EXPECT_NE(facts.exe_problem, "");
}

}  // namespace
}  // namespace muster::os
