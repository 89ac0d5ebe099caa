// What a broker that ended in order left: who still runs, whatever somebody wrote there.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/left_running.h"
#include "os/peer.h"
#include "os/whereabouts.h"
#include "support/temp_dir.h"

namespace muster::os {
namespace {

using ::testing::HasSubstr;

class LeftRunningTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return dir_ / kLeftRunningName; }
  void leave(const std::string& text) const { std::ofstream(file()) << text; }
  [[nodiscard]] LeftRunning left() const { return read_left_running(dir_.path()); }
  static LeftProcess self(const std::string& name) {
    return {::getpid(), start_time(::getpid()).value_or(0), name};
  }
  // As written in another place.
  static std::string elsewhere(const Whereabouts& there, const std::string& lines) {
    return "muster left-running 1 " + there.boot_id + ' ' + std::to_string(there.namespaces.pid) +
           ' ' + std::to_string(there.namespaces.time) + '\n' + lines;
  }

  test::TempDir dir_;
};

TEST_F(LeftRunningTest, NamesWhoStillRuns) {
  EXPECT_FALSE(left().is_anybody_left());
  LeftProcess later = self("later 1.0.0");
  ++later.start_ticks;
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const LeftProcess other{child, start_time(child).value_or(0), "other 1.0.0"};
  leave(encode_left_running({self("cache 1.0.0 #a b"), later, other, {0, 0, "unseen 1.0.0"}}));
  const auto names = [&] {
    std::string all;
    for (const LeftProcess& process : left().processes) all += process.name + ';';
    return all;
  };
  EXPECT_EQ(names(), "cache 1.0.0 #a b;other 1.0.0;unseen 1.0.0;") << "a later one of that pid";
  EXPECT_EQ(left().processes.front().pid, ::getpid());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(names(), "cache 1.0.0 #a b;unseen 1.0.0;");
  EXPECT_EQ(left().problem, "");
}

TEST_F(LeftRunningTest, KnowsNobodyAfterAnotherBootAndEverybodyFromAnotherNamespace) {
  const std::string gone = std::to_string(::getpid()) + " 1 gone 1.0.0\nend 0\n";
  Whereabouts there = current_whereabouts();
  leave(elsewhere(there, gone));
  EXPECT_FALSE(left().is_anybody_left());
  ++there.namespaces.pid;
  leave(elsewhere(there, gone));
  EXPECT_EQ(left().processes.size(), 1U);
  there.boot_id = "another";
  leave(elsewhere(there, gone));
  EXPECT_FALSE(left().is_anybody_left());
}

TEST_F(LeftRunningTest, CountsThoseWhoDoNotFit) {
  const std::size_t many = 5'000;
  const std::string text =
      encode_left_running({many, self("a-service-of-some-length 1.0.0 #with-a-replica")});
  EXPECT_LE(text.size(), 64U * 1024);
  leave(text);
  const LeftRunning read = left();
  EXPECT_EQ(read.problem, "");
  EXPECT_GT(read.unnamed, 0U);
  EXPECT_EQ(read.processes.size() + read.unnamed, many);
}

TEST_F(LeftRunningTest, WhatIsNotWholeIsSomebodyWhereverItIsCut) {
  const std::string whole = encode_left_running({self("a 1.0.0"), self("b 1.0.0")});
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    leave(whole.substr(0, size));
    EXPECT_TRUE(left().is_anybody_left()) << size;
  }
}

struct Forged {
  const char* name;
  std::function<void(const std::filesystem::path& file)> forge;
};
class ForgedLeftRunningTest : public LeftRunningTest,
                              public ::testing::WithParamInterface<Forged> {};

TEST_P(ForgedLeftRunningTest, IsANeedlessNoAtMost) {
  GetParam().forge(file());
  const LeftRunning read = left();
  EXPECT_NE(read.problem, "");
  EXPECT_THAT(read.processes, ::testing::IsEmpty());
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Each, ForgedLeftRunningTest,
    ::testing::Values(
        Forged{"ASymbolicLink",
               [](const auto& file) {
                 write_text(file.parent_path() / "secret", encode_left_running({}));
                 std::filesystem::create_symlink("secret", file);
               }},
        Forged{"APipe", [](const auto& file) { ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0); }},
        Forged{"ADirectory", [](const auto& file) { std::filesystem::create_directory(file); }},
        Forged{"WithoutEnd",
               [](const auto& file) {
                 write_text(file, encode_left_running({}));
                 std::filesystem::resize_file(file, 200U << 20U);
               }},
        Forged{"Empty", [](const auto& file) { write_text(file, ""); }},
        Forged{"Text", [](const auto& file) { write_text(file, "root:x:0:0\n"); }},
        Forged{"NegativePid",
               [](const auto& file) {
                 std::string text = encode_left_running({});
                 write_text(file, text.insert(text.find("end"), "-1 0 everybody\n"));
               }},
        Forged{"HugePid",
               [](const auto& file) {
                 std::string text = encode_left_running({});
                 write_text(file, text.insert(text.find("end"), "18446744073709551615 0 x\n"));
               }}),
    [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace muster::os
