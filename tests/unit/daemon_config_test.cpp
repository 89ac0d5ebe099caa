// musterd's configuration file: every key, every mistake.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/config/config_file.h"
#include "musterd/config/keys.h"
#include "support/config_errors.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;
using test::errors_in;

Settings good(std::string_view text) {
  Settings settings;
  const auto errors = parse_config(text, settings);
  EXPECT_TRUE(errors.empty()) << to_string(errors.front(), "m.toml");
  return settings;
}

TEST(DaemonConfig, AnEmptyFileIsTheDefaults) {
  const Settings settings = good("");
  EXPECT_EQ(settings.broker.ack_timeout, 5s);
  EXPECT_EQ(settings.broker.max_ack_timeout, 5min);
  EXPECT_EQ(settings.send_queue, 256U * 1024);
  EXPECT_EQ(settings.control.connections, 64U);
  EXPECT_EQ(settings.sockets.backend.effective_mode(), mode_t{0600});
}

TEST(DaemonConfig, EveryKeyArrivesWhereItBelongs) {
  const Settings settings = good(R"(
[broker]
ack_timeout = "1s"
max_ack_timeout = "2s"
reconnect_grace = "3s"
restart_grace = "7s"
register_timeout = "4s"
send_queue = "64KiB"
max_broadcasts = 5
reports_kept = 6
report_age = "7s"
report_targets_kept = 8
dead_kept = 9
dead_age = "10s"
transport = "io_uring"
[sockets]
dir = "/run/elsewhere"
backend_mode = "0666"
backend_group = 11
control_mode = "0640"
control_group = "root"
[control]
connections = 12
event_queue = "32KiB"
[log]
level = "debug"
format = "json"
[history]
enabled = false
keep_age = "11d"
keep_bytes = "12MiB"
[state]
dir = "/var/lib/elsewhere"
)");
  EXPECT_EQ(settings.broker.ack_timeout, 1s);
  EXPECT_EQ(settings.broker.max_ack_timeout, 2s);
  EXPECT_EQ(settings.broker.reconnect_grace, 3s);
  EXPECT_EQ(settings.broker.restart_grace, 7s);
  EXPECT_EQ(settings.broker.register_timeout, 4s);
  EXPECT_EQ(settings.send_queue, 65'536U);
  EXPECT_EQ(settings.broker.max_broadcasts, 5U);
  EXPECT_EQ(settings.broker.max_reports, 6U);
  EXPECT_EQ(settings.broker.report_age, 7s);
  EXPECT_EQ(settings.broker.max_report_targets, 8U);
  EXPECT_EQ(settings.broker.max_dead, 9U);
  EXPECT_EQ(settings.broker.dead_age, 10s);
  EXPECT_EQ(settings.transport, "io_uring");
  EXPECT_EQ(settings.sockets.dir, "/run/elsewhere");
  EXPECT_EQ(settings.sockets.backend.mode, mode_t{0666});
  EXPECT_EQ(settings.sockets.backend.group, gid_t{11});
  EXPECT_EQ(settings.sockets.control.mode, mode_t{0640});
  EXPECT_EQ(settings.sockets.control.group, gid_t{0});
  EXPECT_EQ(settings.control.connections, 12U);
  EXPECT_EQ(settings.control.event_queue, 32'768U);
  EXPECT_EQ(settings.log.level, LogLevel::kDebug);
  EXPECT_EQ(settings.log.format, LogFormat::kJson);
  EXPECT_FALSE(settings.history.enabled);
  EXPECT_EQ(settings.history.keep_age, 264h);
  EXPECT_EQ(settings.history.keep_bytes, 12U << 20U);
  EXPECT_EQ(settings.state_dir, "/var/lib/elsewhere");
}

TEST(DaemonConfig, AGroupOpensTheSocketToIt) {
  EXPECT_EQ(good("sockets.backend_group = 7").sockets.backend.effective_mode(), mode_t{0660});
}

TEST(DaemonConfig, AllMistakesAreToldInTheOrderOfTheFile) {
  EXPECT_EQ(
      errors_in(R"(verbose = true
ack_timeout = "1s"

[broker]
ack_timout = "1s"
max_ack_timeout = 5
send_queue = "256 kB"
max_broadcasts = "many"
reports_kept = 0
dead_age = "0s"
  colour = "blue"

[log]
level = "loud"
format = ["text"]

[sockets]
dir = "run/muster"
backend_mode = 660
control_group = "no-such-group-here"

[brokre]
x = 1
[state.dir]
)"),
      R"(m.toml:1:1: unknown key "verbose"; there is broker, sockets, control, quota, log, history, state, policy
m.toml:2:1: unknown key "ack_timeout": it belongs under [broker]
m.toml:5:1: unknown key "ack_timout" in [broker]; did you mean "ack_timeout"?
m.toml:6:19: [broker] max_ack_timeout takes a duration such as "5s", "250ms" or "1h30m", not 5
m.toml:7:14: [broker] send_queue takes a size such as "256KiB" or "1MiB", not "256 kB"
m.toml:8:18: [broker] max_broadcasts takes a whole number, not "many"
m.toml:9:16: [broker] reports_kept must be between 1 and 10000000, not 0
m.toml:10:12: [broker] dead_age must be between 1s and 366d, not "0s"
m.toml:11:3: unknown key "colour" in [broker]; there is ack_timeout, max_ack_timeout, reconnect_grace, restart_grace, register_timeout, send_queue, max_broadcasts, reports_kept, report_age, report_targets_kept, report_bytes_kept, hold_ttl_max, hold_scan_interval, dead_kept, dead_age, transport
m.toml:14:9: [log] level takes "error", "warning", "info" or "debug", not "loud"
m.toml:15:10: [log] format takes "text" or "json", not an array
m.toml:18:7: [sockets] dir takes an absolute path, not "run/muster"
m.toml:19:16: [sockets] backend_mode takes octal digits such as "0660", not 660
m.toml:20:17: [sockets] control_group names the group "no-such-group-here", which this host does not have
m.toml:22:2: unknown section "brokre"; did you mean "broker"?
m.toml:24:1: [state] dir takes an absolute path, not a table
)");
}

// A file with one mistake, and what is said of it.
TEST(DaemonConfig, EachMistakeIsToldWithItsPlace) {
  const std::string section =
      "\"broker\" is a section: write [broker] on a line of its own, and its keys below";
  const std::string times = ", more than max_ack_timeout, 2s: make it less, or that more";
  const std::string keys =
      "; there is broker, sockets, control, quota, log, history, state, policy";
  const struct {
    std::string text;
    std::string said;
  } kRows[] = {
      {"[broker]\nack_timeout = 5s\n",
       "2:16: not TOML: Error while parsing decimal integer: expected digit, saw 's'"},
      {"broker = 1", "1:1: " + section},
      {"[[broker]]\nack_timeout = \"1s\"", "1:3: " + section},
      {"[broker]\nmax_ack_timeout = \"2s\"\nack_timeout = \"3s\"\n",
       "3:1: [broker] ack_timeout is 3s" + times},
      {"[broker]\nmax_ack_timeout = \"2s\"\n", "2:1: [broker] ack_timeout is 5s" + times},
      {"\"a\\u001b[31m\" = 1", "1:1: unknown key \"a\\x1b[31m\"" + keys},
      {"[quota]\nuid = 5\n",
       "2:7: [quota] uid is a section for each user: write [[quota.uid]] on a line of its own, and "
       "below it uid = \"NAME\" and what is different"},
      {"[policy]\nregister = 1\n",
       "2:1: each rule of policy.register begins with [[policy.register]] on a line of its own"},
      {"[[policy.register]]\nusers = 1\nservices = [\"\"]\n",
       "3:13: [[policy.register]] services has an empty pattern, which matches nothing; \"*\" "
       "matches all"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(errors_in(row.text), "m.toml:" + row.said + '\n') << row.text;
  }
  EXPECT_EQ(errors_in("[log]\nlevel = \"a\"\nlevel = \"b\"\n").substr(0, 23),
            "m.toml:3:9: not TOML: E");
}

TEST(DaemonConfig, ASocketDirectoryThatDoesNotFitIsRefused) {
  const std::string text = errors_in("[sockets]\ndir = \"/" + std::string(120, 'x') + "\"\n");
  EXPECT_EQ(text.substr(0, 35), "m.toml:2:7: [sockets] dir is invali");
  EXPECT_NE(text.find("too long"), std::string::npos) << text;
}

TEST(DaemonConfig, AnErrorStaysShortWhateverItIsAbout) {
  std::string long_key(5000, 'k');
  long_key.append(" = 1");
  EXPECT_LT(errors_in(long_key).size(), 200U);
}

TEST(DaemonConfig, DevNullIsAnEmptyFile) {
  const ConfigText read = read_config("/dev/null");
  EXPECT_EQ(read.problem, "");
  EXPECT_EQ(read.text, "");
}

TEST(DaemonConfig, AFileThatCannotBeReadIsAnError) {
  const test::TempDir dir;
  std::ofstream(dir / "large") << std::string((1 << 20) + 1, '#');
  const std::pair<std::filesystem::path, const char*> kRows[] = {
      {dir / "none.toml", "f: cannot be read: No such file or directory"},
      {dir.path(), "f: cannot be read: Is a directory"},
      {"/dev/zero", "f: is not a regular file: name a file that can be read at any time"},
      {dir / "large", "f: is larger than 1MiB: that is no configuration of musterd"},
  };
  for (const auto& [file, said] : kRows) {
    Settings settings;
    const auto errors = load_config(file, settings);
    ASSERT_EQ(errors.size(), 1U) << file;
    EXPECT_EQ(to_string(errors[0], "f"), said);
  }
}

TEST(DaemonConfig, AQuotaForOneUserChangesWhatItSaysAndNothingElse) {
  const Settings settings = good(R"([[quota.uid]]
uid = "root"
connections = 10
queued_bytes = "1MiB"
[[quota.uid]]
uid = 1234
broadcasts = 0
[quota]
connections = 20
registrations = 30
)");
  const auto& quotas = settings.broker.quotas;
  core::Quota expected;
  expected.connections = 20;
  expected.registrations = 30;
  EXPECT_EQ(quotas.of(7), expected);
  core::Quota limited = expected;
  limited.broadcasts = 0;
  EXPECT_EQ(quotas.of(1234), limited);
  expected.connections = 10;
  expected.queued_bytes = 1024 * 1024;
  EXPECT_EQ(quotas.of(0), expected) << "by name";
}

TEST(DaemonConfig, EachMistakeInAQuotaIsToldWithItsPlace) {
  EXPECT_EQ(errors_in(R"([quota]
connections = "many"
queued_bytes = 5
broadcast = 1
[[quota.uid]]
connections = -1
[[quota.uid]]
uid = "no-such-user-here"
registration = 3
[[quota.uid]]
uid = 5
[[quota.uid]]
uid = 5
[[quota.uid]]
uid = -1
)"),
            R"(m.toml:2:15: [quota] connections takes a whole number, not "many"
m.toml:3:16: [quota] queued_bytes takes a size such as "256KiB" or "1MiB", not 5
m.toml:4:1: unknown key "broadcast" in [quota]; did you mean "broadcasts"?
m.toml:5:1: [[quota.uid]] does not say whose it is: give uid, a name or a number
m.toml:6:15: [[quota.uid]] connections must be between 0 and 10000000, not -1
m.toml:8:7: [[quota.uid]] uid names the user "no-such-user-here", whom this host does not have
m.toml:9:1: unknown key "registration" in [[quota.uid]]; did you mean "registrations"?
m.toml:12:1: [[quota.uid]] for uid 5 is there already
m.toml:15:7: [[quota.uid]] uid takes a user's name or number, not -1
)");
}

// The file that is installed, on a host that has no group muster (yet).
std::string shipped() {
  std::ifstream in(MUSTER_TEST_DATA_DIR "/../config/musterd.toml");
  std::string all((std::istreambuf_iterator<char>(in)), {});
  const std::string group = "groups = \"muster\"";
  const auto at = all.find('\n' + group);
  EXPECT_NE(at, std::string::npos);
  if (at != std::string::npos) all.replace(at + 1, group.size(), "groups = \"root\"");
  return all;
}

TEST(DaemonConfig, TheDefaultConfigurationFileIsGoodAndNamesEveryKeyWithItsDefault) {
  EXPECT_EQ(errors_in(shipped()), "");

  // With every key in it switched on it says what holds without it.
  std::istringstream in(shipped());
  std::string all;
  for (std::string line; std::getline(in, line);) {
    const bool is_key = line.starts_with("#") && line.find(" = ") != std::string::npos &&
                        line.size() > 1 && line[1] != ' ';
    all += (is_key ? line.substr(1) : line) + '\n';
  }
  for (const ConfigKey& key : config_keys()) {
    EXPECT_NE(all.find('\n' + std::string(key.name) + " = "), std::string::npos)
        << key.section << '.' << key.name;
  }
  const Settings given = good(all);
  const Settings defaults;
  EXPECT_EQ(given.broker.ack_timeout, defaults.broker.ack_timeout);
  EXPECT_EQ(given.broker.max_ack_timeout, defaults.broker.max_ack_timeout);
  EXPECT_EQ(given.broker.reconnect_grace, defaults.broker.reconnect_grace);
  EXPECT_EQ(given.broker.register_timeout, defaults.broker.register_timeout);
  EXPECT_EQ(given.broker.max_broadcasts, defaults.broker.max_broadcasts);
  EXPECT_EQ(given.broker.max_reports, defaults.broker.max_reports);
  EXPECT_EQ(given.broker.report_age, defaults.broker.report_age);
  EXPECT_EQ(given.broker.max_report_targets, defaults.broker.max_report_targets);
  EXPECT_EQ(given.broker.max_dead, defaults.broker.max_dead);
  EXPECT_EQ(given.broker.dead_age, defaults.broker.dead_age);
  EXPECT_EQ(given.send_queue, defaults.send_queue);
  EXPECT_EQ(given.transport, defaults.transport);
  EXPECT_EQ(given.control.connections, defaults.control.connections);
  EXPECT_EQ(given.control.event_queue, defaults.control.event_queue);
  EXPECT_EQ(given.broker.quotas.each, defaults.broker.quotas.each);
  EXPECT_TRUE(given.broker.quotas.of_uid.empty());
  EXPECT_EQ(given.log.level, defaults.log.level);
  EXPECT_EQ(given.log.format, defaults.log.format);
}

}  // namespace
}  // namespace muster::daemon
