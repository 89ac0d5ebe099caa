// Where musterd's settings come from: command line, environment, file, defaults.
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/config/command_line.h"
#include "musterd/config/load.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

std::filesystem::path write_file(const test::TempDir& dir, std::string_view text) {
  const auto path = dir / "musterd.toml";
  std::ofstream(path) << text;
  return path;
}

TEST(DaemonLoad, TheCommandLineComesBeforeTheEnvironmentBeforeTheFile) {
  const test::TempDir dir;
  CommandLine line;
  line.config = write_file(dir, R"(
[sockets]
dir = "/file/sockets"
[state]
dir = "/file/state"
[log]
level = "error"
)");
  Environment environment;
  auto loaded = load_settings(line, environment, "/nonexistent");
  ASSERT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.settings.sockets.dir, "/file/sockets");
  EXPECT_EQ(loaded.settings.state_dir, "/file/state");
  EXPECT_EQ(loaded.settings.log.level, LogLevel::kError);

  environment.socket_dir = "/environment/sockets";
  environment.state_directory = "/environment/state:/second";
  loaded = load_settings(line, environment, "/nonexistent");
  EXPECT_EQ(loaded.settings.sockets.dir, "/environment/sockets");
  EXPECT_EQ(loaded.settings.state_dir, "/environment/state");

  line.socket_dir = "/line/sockets";
  line.state_dir = "/line/state";
  line.log_level = "debug";
  loaded = load_settings(line, environment, "/nonexistent");
  EXPECT_EQ(loaded.settings.sockets.dir, "/line/sockets");
  EXPECT_EQ(loaded.settings.state_dir, "/line/state");
  EXPECT_EQ(loaded.settings.log.level, LogLevel::kDebug);
}

TEST(DaemonLoad, TheDefaultFileIsReadIfItIsThereAndANamedOneMustBe) {
  const test::TempDir dir;
  const auto file = write_file(dir, "[log]\nlevel = \"debug\"\n");
  CommandLine line;
  EXPECT_EQ(load_settings(line, {}, file).settings.log.level, LogLevel::kDebug);
  EXPECT_EQ(load_settings(line, {}, "/nonexistent").file, std::nullopt);

  line.config = "/nonexistent";
  const auto loaded = load_settings(line, {}, file);
  ASSERT_EQ(loaded.problems.size(), 1U);
  EXPECT_EQ(loaded.problems[0], "/nonexistent: cannot be read: No such file or directory");
}

TEST(DaemonLoad, WhereThereIsNoPlaceForAFileThereAreTheDefaults) {
  const auto loaded = load_settings({}, {}, {});
  EXPECT_EQ(loaded.file, std::nullopt);
  EXPECT_TRUE(loaded.problems.empty());
}

TEST(DaemonLoad, OnlyTheSystemsBrokerReadsTheSystemsFile) {
  constexpr std::string_view kOfSystem = "/etc/muster/musterd.toml";
  constexpr std::string_view kOwn = "/home/a/.config/muster/musterd.toml";
  Environment user;
  EXPECT_EQ(find_config_file(user, false), "");
  EXPECT_EQ(find_config_file(user, true), kOfSystem);
  user.home = "relative";
  EXPECT_EQ(find_config_file(user, false), "");
  user.home = "/home/a";
  EXPECT_EQ(find_config_file(user, false), kOwn);
  user.socket_dir = "/tmp/s";
  EXPECT_EQ(find_config_file(user, false), kOwn);
  user.xdg_config_home = "relative";
  EXPECT_EQ(find_config_file(user, false), kOwn);
  user.xdg_config_home = "/home/a/c";
  EXPECT_EQ(find_config_file(user, false), "/home/a/c/muster/musterd.toml");
  EXPECT_EQ(find_config_file(user, true), kOfSystem);

  // Service managers: the system's, and that of a session. A command that only checks the
  // configuration of a service gets no sockets, but the state directory.
  Environment service = user;
  service.sockets_passed = true;
  EXPECT_EQ(find_config_file(service, false), kOfSystem);
  service.sockets_passed = false;
  service.state_directory = "/var/lib/muster";
  EXPECT_EQ(find_config_file(service, false), kOfSystem);
  service.sockets_passed = true;
  service.xdg_runtime_dir = "/run/user/1000";
  EXPECT_EQ(find_config_file(service, false), "/home/a/c/muster/musterd.toml");
}

TEST(DaemonLoad, WordsOfTheCommandLineAreCheckedLikeThoseOfTheFile) {
  CommandLine line;
  line.log_level = "loud";
  line.transport = "pigeon";
  const auto loaded = load_settings(line, {}, "/nonexistent");
  ASSERT_EQ(loaded.problems.size(), 2U);
  EXPECT_EQ(
      loaded.problems[0],
      "musterd: --log-level takes \"error\", \"warning\", \"info\" or \"debug\", not \"loud\"");
  EXPECT_EQ(loaded.problems[1],
            "musterd: --transport takes \"auto\", \"epoll\" or \"io_uring\", not \"pigeon\"");
}

TEST(DaemonLoad, TheStateDirectoryFollowsTheSocketDirectoryThenTheUser) {
  Settings settings;
  Environment environment;
  EXPECT_EQ(find_state_dir(settings, environment, false), "");
  environment.home = "/home/a";
  EXPECT_EQ(find_state_dir(settings, environment, false), "/home/a/.local/state/muster");
  environment.xdg_state_home = "relative";
  EXPECT_EQ(find_state_dir(settings, environment, false), "/home/a/.local/state/muster");
  environment.xdg_state_home = "/home/a/state";
  EXPECT_EQ(find_state_dir(settings, environment, false), "/home/a/state/muster");
  EXPECT_EQ(find_state_dir(settings, environment, true), "/var/lib/muster");
  settings.sockets.dir = "/tmp/s";
  EXPECT_EQ(find_state_dir(settings, environment, true), "/tmp/s");
  settings.state_dir = "/tmp/state";
  EXPECT_EQ(find_state_dir(settings, environment, true), "/tmp/state");
}

TEST(DaemonCommandLine, WhatIsGivenIsTaken) {
  const auto parsed = parse_command_line(
      {"--socket-dir", "/s", "--state-dir=/t", "--config", "f", "--log-level", "debug",
       "--log-format", "json", "--transport", "io_uring", "--check-config", "--check-reload"});
  ASSERT_TRUE(parsed.line) << parsed.err;
  EXPECT_EQ(parsed.line->socket_dir, "/s");
  EXPECT_EQ(parsed.line->state_dir, "/t");
  EXPECT_EQ(parsed.line->config, "f");
  EXPECT_EQ(parsed.line->log_level, "debug");
  EXPECT_EQ(parsed.line->log_format, "json");
  EXPECT_EQ(parsed.line->transport, "io_uring");
  EXPECT_TRUE(parsed.line->check_config && parsed.line->check_reload);
  EXPECT_TRUE(parsed.out.empty() && parsed.err.empty());

  const auto nothing = parse_command_line({});
  ASSERT_TRUE(nothing.line);
  EXPECT_FALSE(nothing.line->socket_dir || nothing.line->config || nothing.line->check_config);
}

TEST(DaemonCommandLine, WrongUsageSaysSoAndHasItsStatus) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--bogus"},
                                                    {"stray"},
                                                    {"--config"},
                                                    {"--config", ""},
                                                    {"--socket-dir", "a", "--socket-dir", "b"},
                                                    {"--check-config=maybe"}}) {
    const auto parsed = parse_command_line(arguments);
    EXPECT_FALSE(parsed.line) << arguments[0];
    EXPECT_EQ(parsed.status, kExitUsage) << arguments[0];
    EXPECT_EQ(parsed.err.substr(0, 9), "musterd: ") << arguments[0];
    EXPECT_TRUE(parsed.out.empty());
  }
}

TEST(DaemonCommandLine, HelpDocumentsTheExitStatuses) {
  const auto parsed = parse_command_line({"--help"});
  EXPECT_FALSE(parsed.line);
  EXPECT_EQ(parsed.status, kExitClean);
  for (const char* part : {"Exit status:", "--socket-dir DIR", "--state-dir DIR",
                           "MUSTER_SOCKET_DIR", "SIGHUP", "--transport"}) {
    EXPECT_NE(parsed.out.find(part), std::string::npos) << part;
  }
  const auto version = parse_command_line({"--version"});
  EXPECT_EQ(version.out.substr(0, 8), "musterd ");
  EXPECT_EQ(version.status, kExitClean);
}

}  // namespace
}  // namespace muster::daemon
