// Bound sockets as /proc/PID/net/unix lists them.
#include "os/holders/bound_sockets.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "os/holders/mount_table.h"
#include "os/holders/wanted.h"

namespace muster::test {
namespace {

constexpr std::string_view kHead = "Num       RefCount Protocol Flags    Type St Inode Path\n";

std::string line(std::string_view inode, std::string_view path) {
  return "00000000a54f9c9d: 00000002 00000000 00010000 0001 01 " + std::string(inode) +
         (path.empty() ? "" : ' ' + std::string(path)) + '\n';
}

class BoundSocketsTest : public ::testing::Test {
 protected:
  BoundSocketsTest() { mounts_.add("36 1 8:1 / / rw - ext4 /dev/a rw\n", 1, "/", 1); }
  // The path of the socket; "none".
  [[nodiscard]] std::string path(const std::string& table, std::uint64_t inode) const {
    os::BoundSockets sockets;
    sockets.add(table, os::Wanted(mounts_, 1, "/cache"));
    const std::string* found = sockets.find(inode);
    return found == nullptr ? "none" : *found;
  }
  os::MountTable mounts_;
};

TEST_F(BoundSocketsTest, ThoseThatMayBeMeantAreKept) {
  const std::string table = std::string(kHead) + line("   7", "/cache/a b") + line("8", "") +
                            line("9", "@abstract") + line("10", "/elsewhere") +
                            line("11", "relative") + line("12", "/proc/self/fd/3/a");
  EXPECT_EQ(path(table, 7), "/cache/a b");
  EXPECT_EQ(path(table, 8), "none");
  EXPECT_EQ(path(table, 9), "none");
  EXPECT_EQ(path(table, 10), "none");
  EXPECT_EQ(path(table, 11), "relative");
  EXPECT_EQ(path(table, 12), "/proc/self/fd/3/a");
}

TEST_F(BoundSocketsTest, ANameMayHaveNewlines) {
  const std::string table =
      std::string(kHead) + line("7", "/cache/a\nb c\nd") + line("8", "/cache");
  EXPECT_EQ(path(table, 7), "/cache/a\nb c\nd");
  EXPECT_EQ(path(table, 8), "/cache");
}

// A connection that nobody has accepted has no inode.
TEST_F(BoundSocketsTest, OneWithoutAnInodeIsNoPartOfTheNameBefore) {
  const std::string table = std::string(kHead) + line("7", "/cache/a") + line("    0", "/cache/a") +
                            line("8", "") + line("    0", "/run/b") + line("9", "/cache/c");
  EXPECT_EQ(path(table, 7), "/cache/a");
  EXPECT_EQ(path(table, 8), "none");
  EXPECT_EQ(path(table, 9), "/cache/c");
  EXPECT_EQ(path(table, 0), "none");
}

}  // namespace
}  // namespace muster::test
