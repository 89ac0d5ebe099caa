// The history of a real broker: what it lists, what a crash, a restart and a disk that fails leave
// of it, and what `musterctl result` says of old broadcasts.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <regex>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"
#include "support/temp_dir.h"
#include "support/test_transport.h"
#include "system/programs.h"

namespace muster::test {
namespace {

// The first number of a broadcast in that JSON; empty when there is none.
std::string id_in(const std::string& json) {
  std::smatch found;
  const std::regex form("\"broadcast_id\":\"([0-9]+)\"");
  return std::regex_search(json, found, form) ? found[1].str() : std::string();
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class MusterctlHistory : public testing::Test {
 protected:
  std::string history(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), "history");
    const Finished done = programs_.ctl(std::move(arguments));
    EXPECT_EQ(done.status, 0) << done.err;
    return done.out;
  }
  // Asks until the answer has that text.
  std::string history_with(const std::string& text, const std::vector<std::string>& arguments) {
    const auto until = std::chrono::steady_clock::now() + Process::kPatience;
    std::string out;
    do {
      out = history(arguments);
      if (out.find(text) != std::string::npos) return out;
    } while (std::chrono::steady_clock::now() < until);
    ADD_FAILURE() << "never: " << text << " in\n" << out;
    return out;
  }
  void restart_broker(int signal) {
    programs_.broker().end(signal);
    programs_.start_broker();
  }

  Programs programs_;
};

TEST_F(MusterctlHistory, ListsWhatWasAskedByWhomAndWhatCameOfIt) {
  EXPECT_EQ(history(), "the history has no broadcast\n");
  programs_.backend({"--service", "zccache"});
  const pid_t good = [&] {
    Process asks = programs_.start({"release-handles", "/cache/a"});
    const pid_t pid = asks.pid();
    EXPECT_EQ(asks.finish().status, 0);
    return pid;
  }();
  programs_.backend({"--service", "soldr", "--on-release", "reject:busy"});
  EXPECT_EQ(programs_.ctl({"release-handles", "/cache/b", "--key", "nightly"}).status, 1);
  EXPECT_EQ(programs_.ctl({"quiesce", "--select", "service=zccache"}).status, 0);

  const std::string json = history({"--json"});
  EXPECT_EQ(count_of(json, "\"broadcast_id\""), 3u) << json;
  EXPECT_NE(json.find("\"operation\":\"release-handles /cache/a\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"pid\":" + std::to_string(good) + ",\"command\":\"musterctl\"}"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("\"operation_key\":\"nightly\""), std::string::npos) << json;
  const std::string text = history();
  EXPECT_TRUE(std::regex_search(
      text, std::regex("\n[0-9]+ .* release-handles /cache/b +1 of 2 acked, 1 failed +- +- +")))
      << text;
  EXPECT_TRUE(std::regex_search(text, std::regex(" quiesce \\(maintenance\\) +1 of 1 acked ")))
      << text;
  // The newest first.
  EXPECT_LT(text.find("quiesce"), text.find("/cache/b"));
  EXPECT_LT(text.find("/cache/b"), text.find("/cache/a"));

  const auto listed = [&](std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    return count_of(history(std::move(arguments)), "\"broadcast_id\"");
  };
  EXPECT_EQ(listed({"--failed"}), 1u);
  EXPECT_EQ(listed({"--service", "soldr"}), 1u);
  EXPECT_EQ(listed({"--service", "zccache"}), 3u);
  EXPECT_EQ(listed({"--since", "1h"}), 3u);
  EXPECT_EQ(listed({"--until", "1h"}), 0u);
  EXPECT_EQ(listed({"--user", std::to_string(::geteuid())}), 3u);
  EXPECT_EQ(listed({"--user", "77001"}), 0u);
  EXPECT_EQ(listed({"--limit", "2"}), 2u);
  EXPECT_NE(history({"--limit", "2"}).find("there are older ones"), std::string::npos);
  EXPECT_EQ(programs_.ctl({"history", "--limit", "1001"}).status, 2);
}

TEST_F(MusterctlHistory, AReportIsTheSameAfterARestart) {
  programs_.backend({"--service", "zccache"});
  programs_.backend({"--service", "soldr", "--on-release", "reject:busy"});
  programs_.dead_backend("gone");
  EXPECT_EQ(programs_.ctl({"release-handles", "/cache"}).status, 1);
  const std::string id = id_in(history({"--json"}));
  const Finished before = programs_.ctl({"result", id, "--json"});
  restart_broker(SIGKILL);
  const Finished after = programs_.ctl({"result", id, "--json"});
  EXPECT_EQ(after.status, 1);
  EXPECT_EQ(after.out, before.out);
  EXPECT_EQ(programs_.ctl({"result", id, "--wait", "--json"}).out, before.out);
  EXPECT_NE(history({"--json"}).find("\"broadcast_id\":\"" + id + "\""), std::string::npos);
  // Another id of before, which nobody had.
  const Finished none = programs_.ctl({"result", std::to_string(std::stoull(id) + 1)});
  EXPECT_EQ(none.status, 4) << none.out;
}

TEST_F(MusterctlHistory, WhatAKillCutShortIsInterruptedWithWhatWasKnown) {
  programs_.backend({"--service", "zccache"});
  programs_.backend({"--service", "soldr", "--on-release", "silent"});
  EXPECT_EQ(programs_.ctl({"release-handles", "--detach", "--timeout", "4m", "/cache"}).status, 0);
  const std::string running = history_with("\"acks\":1", {"--json"});
  EXPECT_NE(running.find("\"state\":\"RUNNING\""), std::string::npos) << running;
  EXPECT_NE(running.find("\"interrupted\":false"), std::string::npos) << running;
  const std::string id = id_in(running);
  restart_broker(SIGKILL);

  const std::string json = history({"--json", "--failed"});
  EXPECT_NE(json.find("\"interrupted\":true"), std::string::npos) << json;
  EXPECT_NE(json.find("\"targets\":2,\"acks\":1"), std::string::npos) << json;
  EXPECT_NE(history().find("interrupted, 1 of 2 acked"), std::string::npos);
  const Finished report = programs_.ctl({"result", id});
  EXPECT_EQ(report.status, 1);
  EXPECT_TRUE(report.out.starts_with("release-handles /cache: interrupted, ")) << report.out;
  EXPECT_NE(report.out.find("1 of 2 had acked by then, 1 had not answered"), std::string::npos)
      << report.out;
  EXPECT_NE(report.out.find("soldr"), std::string::npos) << report.out;
  EXPECT_EQ(report.out.find("--wait"), std::string::npos) << report.out;
  const Finished whole = programs_.ctl({"result", id, "--json"});
  EXPECT_EQ(whole.status, 1);
  EXPECT_NE(whole.out.find("\"outcome\":\"ACK\""), std::string::npos) << whole.out;
  EXPECT_NE(whole.out.find("\"outcome\":\"OPEN\""), std::string::npos) << whole.out;
}

// Not even one to nobody, or one that everybody acked before the end was written.
TEST_F(MusterctlHistory, WhatIsInterruptedIsNeverASuccess) {
  programs_.backend({"--service", "soldr", "--on-release", "silent"});
  EXPECT_EQ(programs_.ctl({"release-handles", "--detach", "--timeout", "4m", "/cache"}).status, 0);
  const std::string id = id_in(history_with("\"targets\":1", {"--json"}));
  restart_broker(SIGKILL);
  EXPECT_EQ(programs_.ctl({"result", id, "--allow-empty"}).status, 1);
  EXPECT_EQ(programs_.ctl({"result", id, "--quiet"}).status, 1);
}

TEST_F(MusterctlHistory, ALateAnswerComesIntoIt) {
  programs_.backend({"--service", "slow", "--on-release", "ack-after:500ms"});
  EXPECT_EQ(programs_.ctl({"release-handles", "--timeout", "50ms", "/cache"}).status, 1);
  const std::string id = id_in(history_with("\"late_answers\":1", {"--json"}));
  restart_broker(SIGKILL);
  const Finished report = programs_.ctl({"result", id, "--json"});
  EXPECT_EQ(count_of(report.out, "\"lateness_ms\""), 1u) << report.out;
}

TEST_F(MusterctlHistory, TheShutdownOfABrokerIsItsLastEntry) {
  programs_.backend({"--service", "zccache"});
  EXPECT_EQ(programs_.ctl({"release-handles", "/cache"}).status, 0);
  restart_broker(SIGTERM);
  const std::string text = history();
  EXPECT_TRUE(std::regex_search(
      text, std::regex("quiesce \\(broker-shutdown\\) +1 of 1 acked .* the broker\n")))
      << text;
  EXPECT_LT(text.find("broker-shutdown"), text.find("/cache"));
}

TEST_F(MusterctlHistory, AQuiesceOfAnIdleBackendIsListedWhenItIsAskedFor) {
  programs_.backend({"--service", "lazy", "--idle-timeout", "1s"});
  const std::string text = history_with("idle-timeout", {"--own"});
  EXPECT_NE(text.find("the broker"), std::string::npos) << text;
  EXPECT_EQ(history(), "the history has no broadcast\n");
}

TEST_F(MusterctlHistory, AProcessThatWasRefusedStandsInIt) {
  Process refused({program("muster-fake-backend"), "--service", "new", "--min-protocol", "99",
                   "--max-protocol", "99"},
                  programs_.options());
  programs_.broker().wait_for("peer refused");
  const std::string text = history_with(std::to_string(refused.pid()), {"--refusals"});
  EXPECT_NE(text.find("muster-fake"), std::string::npos) << text;
  const std::string json = history({"--refusals", "--json"});
  EXPECT_NE(json.find("\"pid\":" + std::to_string(refused.pid()) + ","), std::string::npos) << json;
  EXPECT_EQ(history({"--refusals", "--user", "77001"}), "the history has no such refusal\n");
}

TEST_F(MusterctlHistory, AFileThatIsDeletedUnderTheBrokerIsBegunAnew) {
  EXPECT_EQ(programs_.ctl({"release-handles", "--allow-empty", "/cache/a"}).status, 0);
  EXPECT_NE(history().find("/cache/a"), std::string::npos);
  for (const char* name : {"history.db", "history.db-wal"}) {
    std::filesystem::remove(programs_.dir() / name);
  }
  programs_.broker().wait_for("was deleted: a new one is begun");
  EXPECT_EQ(programs_.ctl({"release-handles", "--allow-empty", "/cache/b"}).status, 0);
  EXPECT_NE(history().find("/cache/b"), std::string::npos);
  restart_broker(SIGKILL);
  const std::string text = history();
  EXPECT_NE(text.find("/cache/b"), std::string::npos) << text;
  EXPECT_EQ(text.find("/cache/a"), std::string::npos) << text;
}

TEST_F(MusterctlHistory, AFileThatIsDamagedIsSetAside) {
  EXPECT_EQ(programs_.ctl({"release-handles", "--allow-empty", "/cache/a"}).status, 0);
  programs_.broker().end(SIGTERM);
  std::ofstream(programs_.dir() / "history.db", std::ios::trunc) << "this is no database at all";
  programs_.start_broker();
  programs_.broker().wait_for("is damaged");
  EXPECT_EQ(programs_.ctl({"release-handles", "--allow-empty", "/cache/b"}).status, 0);
  EXPECT_NE(history().find("/cache/b"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(programs_.dir() / "history.db.damaged"));
}

TEST_F(MusterctlHistory, WhereTheFileCannotBeOpenedBroadcastsGoOnAndTheStatusSaysSo) {
  programs_.broker().end(SIGTERM);
  for (const char* name : {"history.db", "history.db-wal"}) {
    std::filesystem::remove(programs_.dir() / name);
  }
  std::filesystem::create_directory(programs_.dir() / "history.db");
  programs_.start_broker();
  programs_.broker().wait_for("the history cannot be written");
  programs_.backend({"--service", "zccache"});
  EXPECT_EQ(programs_.ctl({"release-handles", "/cache/a"}).status, 0);
  EXPECT_NE(programs_.ctl({"status"}).out.find("the history cannot be written"), std::string::npos);
  const Finished none = programs_.ctl({"history"});
  EXPECT_EQ(none.status, 4);
  EXPECT_NE(none.err.find("the history cannot be read"), std::string::npos) << none.err;
  // When it can be again, nothing that waited is missing.
  std::filesystem::remove(programs_.dir() / "history.db");
  programs_.broker().wait_for("the history is written again");
  EXPECT_NE(history().find("/cache/a"), std::string::npos);
  EXPECT_EQ(programs_.ctl({"status"}).out.find("the history"), std::string::npos);
}

// A broker of its own kind.
class MusterdHistory : public testing::Test {
 protected:
  [[nodiscard]] ProcessOptions options() const {
    return {{{"MUSTER_SOCKET_DIR", dir_.path().native()}}, dir_.path()};
  }
  [[nodiscard]] Finished ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), program("musterctl"));
    return run_program(std::move(arguments), options());
  }
  [[nodiscard]] std::vector<std::string> broker(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--transport", test_transport()});
    return musterd(std::move(more));
  }

  TempDir dir_;
};

TEST_F(MusterdHistory, AFileSizeLimitStopsNoBroadcastAndIsTold) {
  ProcessOptions limited = options();
  limited.before_exec = [] {
    constexpr rlimit kLimit{8192, 8192};
    return ::setrlimit(RLIMIT_FSIZE, &kLimit) == 0;
  };
  Process runs(broker(), limited);
  runs.wait_for("the history cannot be written");
  EXPECT_EQ(ctl({"release-handles", "--allow-empty", "/cache"}).status, 0);
  const Finished status = ctl({"status"});
  EXPECT_EQ(status.status, 0);
  EXPECT_NE(status.out.find("the history cannot be written"), std::string::npos) << status.out;
  EXPECT_EQ(runs.end(SIGTERM).status, 0);
}

TEST_F(MusterdHistory, WhereItIsOffNothingIsWritten) {
  std::ofstream(dir_ / "off.toml") << "[history]\nenabled = false\n";
  Process runs(broker({"--config", (dir_ / "off.toml").native()}), options());
  runs.wait_for("listening");
  EXPECT_EQ(ctl({"release-handles", "--allow-empty", "/cache"}).status, 0);
  const Finished none = ctl({"history"});
  EXPECT_EQ(none.status, 4);
  EXPECT_NE(none.err.find("keeps no history"), std::string::npos) << none.err;
  EXPECT_EQ(runs.end(SIGTERM).status, 0);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "history.db"));
}

}  // namespace
}  // namespace muster::test
