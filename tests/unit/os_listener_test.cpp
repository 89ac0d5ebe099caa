// Sockets and directories: who may have them, and what is said to who may not.
#include <cstring>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/listener.h"
#include "support/child.h"
#include "support/temp_dir.h"

namespace muster::os {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

bool can_connect(const std::filesystem::path& path) {
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

class ListenerTest : public ::testing::Test {
 protected:
  // A socket file that nobody listens on any more: what a killed broker leaves.
  void leave_stale_socket() {
    const UniqueFd dead = listen_unix(socket_, 0600).socket;
    ASSERT_TRUE(dead);
  }

  test::TempDir dir_;
  std::filesystem::path socket_ = dir_ / "backend.sock";
};

TEST_F(ListenerTest, ASocketHasExactlyTheModeThatWasAskedForWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  const Listening open = listen_unix(socket_, 0666);
  ::umask(0);
  const Listening closed = listen_unix(dir_ / "control.sock", 0600);
  ::umask(before);
  EXPECT_EQ(open.problem + closed.problem, "");
  EXPECT_EQ(mode_of(socket_), 0666u);
  EXPECT_EQ(mode_of(dir_ / "control.sock"), 0600u);
  EXPECT_TRUE(can_connect(socket_));
}

TEST_F(ListenerTest, AStaleSocketIsReplaced) {
  leave_stale_socket();
  ASSERT_TRUE(std::filesystem::is_socket(socket_));
  ASSERT_FALSE(can_connect(socket_));
  const Listening again = listen_unix(socket_, 0600);
  EXPECT_EQ(again.problem, "");
  EXPECT_TRUE(can_connect(socket_));
}

TEST_F(ListenerTest, ALiveSocketIsLeftAloneAndItsOwnerIsNamed) {
  const Listening first = listen_unix(socket_, 0600);
  ASSERT_EQ(first.problem, "");
  const Listening second = listen_unix(socket_, 0600);
  EXPECT_FALSE(second.socket);
  EXPECT_EQ(second.problem, "another process (pid " + std::to_string(::getpid()) +
                                ") already listens on " + socket_.native() +
                                ": stop it first, or choose another directory");
  EXPECT_TRUE(can_connect(socket_));
}

TEST_F(ListenerTest, ALiveSocketWithAFullBacklogIsStillLive) {
  const UniqueFd busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(socket_);
  ASSERT_EQ(::bind(busy.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(busy.get(), 0), 0);
  const UniqueFd waiting(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ASSERT_EQ(::connect(waiting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
            0);
  EXPECT_THAT(listen_unix(socket_, 0600).problem, HasSubstr("already listens on"));
}

TEST_F(ListenerTest, WhatIsNoSocketIsRefusedAndKept) {
  std::ofstream(socket_) << "precious";
  EXPECT_EQ(
      listen_unix(socket_, 0600).problem,
      socket_.native() + " is there, but is not a socket: remove it, or choose another directory");
  std::string kept;
  std::ifstream(socket_) >> kept;
  EXPECT_EQ(kept, "precious");
}

TEST_F(ListenerTest, ALinkToASocketIsNotFollowed) {
  leave_stale_socket();
  std::filesystem::create_symlink(socket_, dir_ / "control.sock");
  EXPECT_THAT(listen_unix(dir_ / "control.sock", 0600).problem, HasSubstr("is not a socket"));
}

TEST_F(ListenerTest, ASocketOfAnotherKindInUseIsRefused) {
  const UniqueFd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(socket_);
  ASSERT_EQ(::bind(datagrams.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
            0);
  EXPECT_EQ(listen_unix(socket_, 0600).problem,
            socket_.native() +
                " is a socket of another kind that is in use: stop its owner, or choose another "
                "directory");
}

TEST_F(ListenerTest, APathThatDoesNotFitIntoASocketAddressIsRefused) {
  const std::filesystem::path fits(std::string(107, 'x'));
  const std::filesystem::path does_not(std::string(108, 'x'));
  EXPECT_THAT(listen_unix(does_not, 0600).problem,
              HasSubstr("has 108 bytes, but a socket address holds at most 107"));
  EXPECT_FALSE(std::filesystem::exists(does_not));
  std::filesystem::current_path(dir_.path());
  EXPECT_EQ(listen_unix(fits, 0600).problem, "");
  std::filesystem::current_path("/");
}

TEST_F(ListenerTest, AClaimMakesItsDirectory) {
  const mode_t before = ::umask(0077);
  auto [claim, problem] = SocketDirClaim::claim(dir_ / "run");
  ::umask(before);
  ASSERT_EQ(problem, "");
  EXPECT_EQ(mode_of(dir_ / "run"), ::geteuid() == 0 ? 0755u : 0700u);
  const Listening listening = claim.listen("backend.sock", 0660);
  EXPECT_EQ(listening.problem, "");
  EXPECT_TRUE(can_connect(dir_ / "run" / "backend.sock"));
}

TEST_F(ListenerTest, ASecondBrokerOnADirectoryIsToldWhoHasIt) {
  auto first = SocketDirClaim::claim(dir_.path());
  ASSERT_EQ(first.problem, "");
  // With a slash at its end it is the same directory.
  const auto second = SocketDirClaim::claim(dir_.path() / "");
  EXPECT_EQ(second.problem, "another broker (pid " + std::to_string(::getpid()) +
                                ") already serves " + dir_.path().native() +
                                ": stop it first, or choose another directory");
  first.claim = {};
  EXPECT_EQ(SocketDirClaim::claim(dir_.path()).problem, "");
}

TEST_F(ListenerTest, AKilledBrokerLeavesNothingThatIsInTheWay) {
  test::Child broker([&](test::Child::Side& side) {
    auto [claim, problem] = SocketDirClaim::claim(dir_.path());
    const Listening listening = claim.listen("backend.sock", 0600);
    side.say(problem + listening.problem);
    side.wait_to_be_told();
  });
  ASSERT_EQ(broker.hear(), "");
  EXPECT_THAT(SocketDirClaim::claim(dir_.path()).problem,
              HasSubstr("(pid " + std::to_string(broker.pid()) + ")"));
  broker.kill();
  broker.reap();
  ASSERT_TRUE(std::filesystem::is_socket(socket_));
  auto [claim, problem] = SocketDirClaim::claim(dir_.path());
  ASSERT_EQ(problem, "");
  const Listening listening = claim.listen("backend.sock", 0600);
  EXPECT_EQ(listening.problem, "");
  EXPECT_TRUE(can_connect(socket_));
}

TEST_F(ListenerTest, TheSocketsGoWithTheClaimAndNothingElseDoes) {
  {
    auto [claim, problem] = SocketDirClaim::claim(dir_.path());
    ASSERT_EQ(problem, "");
    ASSERT_EQ(claim.listen("backend.sock", 0600).problem, "");
    ASSERT_EQ(claim.listen("control.sock", 0600).problem, "");
    std::filesystem::remove(dir_ / "control.sock");
    std::ofstream(dir_ / "control.sock") << "somebody else's";
    SocketDirClaim moved = std::move(claim);
    EXPECT_TRUE(moved);
  }
  EXPECT_FALSE(std::filesystem::exists(socket_));
  EXPECT_TRUE(std::filesystem::is_regular_file(dir_ / "control.sock"));
}

TEST_F(ListenerTest, ADirectoryWithoutAParentIsRefused) {
  const auto missing = dir_ / "no" / "such";
  EXPECT_EQ(SocketDirClaim::claim(missing).problem,
            "cannot make the directory " + missing.native() + ": " + (dir_ / "no").native() +
                " does not exist; create that first");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "no"));
}

TEST_F(ListenerTest, AFileInPlaceOfTheDirectoryIsRefused) {
  std::ofstream(dir_ / "file") << "x";
  EXPECT_EQ(SocketDirClaim::claim(dir_ / "file").problem,
            (dir_ / "file").native() + " is not a directory: name a directory for the sockets");
}

TEST_F(ListenerTest, ADirectoryThatCannotBeWrittenIsRefused) {
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0555));
  // Root may write everywhere, so somebody else tries.
  test::Child other([&](test::Child::Side& side) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) side.say("setuid failed");
    side.say(SocketDirClaim::claim(dir_.path()).problem);
    side.say(SocketDirClaim::claim(dir_ / "run").problem);
  });
  EXPECT_EQ(other.hear(), "cannot write to " + dir_.path().native() +
                              " (musterd.lock): Permission denied; choose a directory that this "
                              "user may write to");
  EXPECT_EQ(other.hear(),
            "cannot make the directory " + (dir_ / "run").native() + ": Permission denied");
}

TEST_F(ListenerTest, OnlyAListeningUnixStreamSocketIsAdopted) {
  const Listening good = listen_unix(socket_, 0600);
  EXPECT_EQ(adopt_listener(good.socket.get()), "");
  const UniqueFd inet(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_THAT(adopt_listener(inet.get()), HasSubstr("is not a Unix socket"));
  const UniqueFd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_THAT(adopt_listener(datagrams.get()), HasSubstr("is not a stream socket"));
  const UniqueFd idle(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_THAT(adopt_listener(idle.get()), HasSubstr("does not listen"));
  EXPECT_THAT(adopt_listener(-1), HasSubstr("is not a socket"));
}

}  // namespace
}  // namespace muster::os
