// The host runs out of disk, of file size, of descriptors: the broker goes on, says so once, and is
// well again by itself.
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/host_abilities.h"
#include "system/fault_fixture.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

// After so many broadcasts the broker writes its ids down: a block of them is 1,024, and it asks
// for the next one when half of it is left.
constexpr std::size_t kUntilIdsAreWritten = 600;

void ask_nobody(FaultHost& host, std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) {
    EXPECT_EQ(host.result(host.release("/cache")).substr(0, 23), "release-handles /cache:") << i;
  }
}

// --- a disk of the broker's own, as small as a disk can be

// In the broker's process: a file system at DIRECTORY/state that nobody else sees.
bool mount_small_disk(const std::string& directory) {
  const std::string place = directory + "/state";
  if (::unshare(CLONE_NEWNS) != 0) return false;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mkdir(place.c_str(), 0700) != 0 && errno != EEXIST) return false;
  return ::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=64k,mode=700") == 0;
}

// The same, and standard error goes there.
bool log_to_small_disk(const std::string& directory) {
  if (!mount_small_disk(directory)) return false;
  const std::string log = directory + "/state/log";
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return fd >= 0 && ::dup2(fd, STDERR_FILENO) == STDERR_FILENO;
}

std::filesystem::path filler(const FaultHost& host) {
  return host.as_broker_sees(host.dir() / "state" / "filler");
}

void fill_disk(const FaultHost& host) {
  std::ofstream file(filler(host), std::ios::binary);
  const std::string page(4096, 'f');
  while (file.write(page.data(), 4096).flush()) {
  }
  file.clear();
  while (file.put('f').flush()) {
  }
  ASSERT_GE(std::filesystem::file_size(filler(host)), 4096u);
}

TEST_F(FaultTest, AFullDiskUnderTheIdsIsToldAndStopsNobody) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  BrokerSetup setup;
  setup.before_exec = mount_small_disk;
  inflict(setup, [](FaultHost& host) {
    Process& quick = host.spawn({"--service", "quick", "--quiet"});
    quick.wait_for("ready");
    fill_disk(host);
    ask_nobody(host, kUntilIdsAreWritten);
    EXPECT_THAT(host.broker().wait_for("cannot write broadcast ids"), HasSubstr("No space left"));
    host.at_its_worst();
    std::filesystem::remove(filler(host));
    ask_nobody(host, kUntilIdsAreWritten);
    host.broker().wait_for("broadcast ids can be written again");
  });
}

TEST_F(FaultTest, AFullDiskUnderTheLogLosesLinesIsToldAndStopsNobody) {
  if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
  BrokerSetup setup;
  setup.before_exec = log_to_small_disk;
  inflict(setup, [](FaultHost& host) {
    const auto log = host.as_broker_sees(host.dir() / "state" / "log");
    fill_disk(host);
    ask_nobody(host, 20);
    const auto size = std::filesystem::file_size(log);
    host.at_its_worst();
    std::filesystem::remove(filler(host));
    ask_nobody(host, 2);
    std::string text((std::istreambuf_iterator<char>(std::ifstream(log).rdbuf())), {});
    EXPECT_THAT(text.substr(size), HasSubstr("log lines before this one were dropped"));
    std::filesystem::resize_file(log, 0);
  });
}

TEST_F(FaultTest, AFileSizeLimitUnderTheIdsIsToldAndStopsNobody) {
  inflict([](FaultHost& host) {
    const auto limit_files_to = [&](rlim_t bytes) {
      const rlimit limit{bytes, RLIM_INFINITY};
      ASSERT_EQ(::prlimit(host.broker().pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
    };
    limit_files_to(0);
    ask_nobody(host, kUntilIdsAreWritten);
    EXPECT_THAT(host.broker().wait_for("cannot write broadcast ids"), HasSubstr("File too large"));
    host.at_its_worst();
    limit_files_to(RLIM_INFINITY);
    ask_nobody(host, kUntilIdsAreWritten);
    host.broker().wait_for("broadcast ids can be written again");
  });
}

// --- descriptors

bool allow_few_descriptors(const std::string& /*directory*/) {
  const rlimit limit{80, 80};
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

TEST_F(FaultTest, WhenDescriptorsRunOutOperatorsStillGetInAndBackendsDoLater) {
  BrokerSetup setup;
  setup.before_exec = allow_few_descriptors;
  inflict(setup, [](FaultHost& host) {
    Process& crowd = host.spawn(
        {"--service", "crowd", "--quiet", "--count", std::to_string(100 + host.dose(100))});
    host.broker().wait_for("cannot accept connections");
    const Finished operator_then = host.ctl({"ping"});
    EXPECT_EQ(operator_then.status, 0) << operator_then.err;
    EXPECT_EQ(host.ctl({"status"}).status, 0);
    const Finished release = host.ctl({"release-handles", "/cache"});
    EXPECT_EQ(release.status, 1) << "who waits to connect was not asked: " << release.out;
    EXPECT_THAT(release.out, HasSubstr("does not know all backends"));
    host.at_its_worst();
    crowd.end(SIGKILL);
    host.broker().wait_for("accepting connections again");
    host.spawn({"--service", "late", "--quiet"}).wait_for("ready");
    EXPECT_THAT(host.result(host.release("/cache")), HasSubstr("acked late 1.0.0"));
  });
}

}  // namespace
}  // namespace muster::test
