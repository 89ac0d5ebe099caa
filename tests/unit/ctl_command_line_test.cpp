// What musterctl says to a command line, before it looks for a broker.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "musterctl/program.h"
#include "musterctl/sessions.h"
#include "support/captured_console.h"
#include "support/view_values.h"

namespace muster::ctl {
namespace {

// "exit status | what is on out | what is on err"
std::string said(const std::vector<std::string>& arguments) {
  test::CapturedConsole console;
  const int status = run(arguments, console, [] { return 0; });
  return std::to_string(status) + " | " + console.written_out + " | " + console.written_err;
}

std::string help(const std::vector<std::string>& arguments) {
  test::CapturedConsole console;
  EXPECT_EQ(run(arguments, console, [] { return 0; }), kAllAcked);
  EXPECT_EQ(console.written_err, "");
  return console.written_out;
}

TEST(CommandLine, ThatIsWrongIsOneSentenceAndStatusTwo) {
  const std::string commands =
      "release-handles, quiesce, backends, status, result, cancel, resume, forget, watch, "
      "explain-policy, ping\n";
  EXPECT_EQ(said({}), "2 |  | musterctl: name a command: " + commands);
  EXPECT_EQ(
      said({"relase-handles", "/x"}),
      "2 |  | musterctl: there is no command \"relase-handles\"; the commands are " + commands);
  EXPECT_EQ(said({"--fast"}),
            "2 |  | musterctl: there is no option \"--fast\" (see musterctl --help)\n");
  EXPECT_EQ(said({"release-handles"}),
            "2 |  | musterctl: release-handles: PATH is required (see musterctl release-handles "
            "--help)\n");
  EXPECT_EQ(said({"release-handles", "/a", "/b\x1b"}),
            "2 |  | musterctl: release-handles: The following argument was not expected: /b\\x1b "
            "(see musterctl release-handles --help)\n");
  EXPECT_EQ(
      said({"ping", "--fast"}),
      "2 |  | musterctl: ping: The following argument was not expected: --fast (see musterctl "
      "ping --help)\n");
  EXPECT_EQ(
      said({"release-handles", ""}),
      "2 |  | musterctl: release-handles: PATH: the path is empty; give an absolute one, like "
      "/var/cache/x (see musterctl release-handles --help)\n");
  EXPECT_EQ(said({"quiesce", "--timeout", "5"}),
            "2 |  | musterctl: quiesce: --timeout: \"5\" has a number without a unit: write 5s for "
            "seconds or 5ms for milliseconds (see musterctl quiesce --help)\n");
  EXPECT_EQ(said({"quiesce", "--timeout", "1s", "--timeout", "2s"}).substr(0, 5), "2 |  ");
  EXPECT_EQ(said({"quiesce", "--select", "color=red"}).substr(0, 62),
            "2 |  | musterctl: quiesce: --select: the selector term \"color=");
  EXPECT_EQ(said({"quiesce", "--key", ""}).substr(0, 40),
            "2 |  | musterctl: quiesce: --key: it is ");
  EXPECT_EQ(said({"quiesce", "--key", std::string(257, 'k')}).substr(0, 52),
            "2 |  | musterctl: quiesce: --key: it has 257 bytes a");
  EXPECT_EQ(said({"quiesce", "--detach", "--dry-run"}),
            "2 |  | musterctl: quiesce: --detach excludes --dry-run (see musterctl quiesce "
            "--help)\n");
  EXPECT_EQ(
      said({"quiesce", "--detach", "-q"}),
      "2 |  | musterctl: quiesce: --detach excludes --quiet (see musterctl quiesce --help)\n");
  EXPECT_EQ(said({"cancel"}).substr(0, 43), "2 |  | musterctl: cancel: ID is required (s");
  EXPECT_EQ(said({"cancel", "last"}).substr(0, 50),
            "2 |  | musterctl: cancel: ID: \"last\" is no broadca");
  for (const char* id : {"0", "-1", "17x", "18446744073709551616", ""}) {
    EXPECT_EQ(said({"result", id}),
              "2 |  | musterctl: result: ID: \"" + std::string(id) +
                  "\" is no broadcast id: give the number that the broadcast or --detach printed "
                  "(see musterctl result --help)\n");
  }
  EXPECT_EQ(
      said({"--socket-dir", "", "ping"}),
      "2 |  | musterctl: ping: --socket-dir: it is empty: name a directory (see musterctl ping "
      "--help)\n");
}

TEST(CommandLine, ThatIsWrongIsToldAsJsonToWhoeverAsksForJson) {
  EXPECT_EQ(
      said({"cancel", "--json", "x"}),
      "2 | {\"error\":{\"code\":\"USAGE\",\"message\":\"cancel: ID: \\\"x\\\" is no broadcast id: "
      "give the number that the broadcast or --detach printed (see musterctl cancel "
      "--help)\"}}\n | ");
  // This one is a path.
  EXPECT_EQ(said({"release-handles", "--timeout", "1", "--", "--json"}).substr(0, 9), "2 |  | mu");
}

TEST(CommandLine, WithoutABrokerSaysSoAndHowToGetOne) {
  const std::string sentence =
      "no broker listens at /nonexistent/muster/control.sock: start musterd, or name its directory "
      "with --socket-dir";
  EXPECT_EQ(said({"ping", "--socket-dir", "/nonexistent/muster"}),
            "3 |  | musterctl: " + sentence + "\n");
  EXPECT_EQ(said({"--socket-dir", "/nonexistent/muster", "--json", "ping"}),
            "3 | {\"error\":{\"code\":\"UNREACHABLE\",\"message\":\"" + sentence + "\"}}\n | ");
  // Nothing else is said by whoever asked for quiet.
  EXPECT_EQ(said({"quiesce", "-q", "--socket-dir", "/nonexistent/muster"}),
            "3 |  | musterctl: " + sentence + "\n");
}

TEST(CommandLine, SaysItsVersion) { EXPECT_EQ(help({"--version"}), "musterctl 0.1.0\n"); }

TEST(CommandLine, ExplainsEveryExitStatusAndEveryCommand) {
  const std::string text = help({"--help"});
  for (const char* line :
       {"\n  0  every live backend acked", "\n  1  not every", "\n  2  the command line",
        "\n  3  the broker cannot be reached", "\n  4  the broker refused",
        "\n  5  there was no backend", "\n  6  reserved", "MUSTER_SOCKET_DIR"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  for (const auto& command : all_commands()) {
    EXPECT_NE(text.find("\n  " + command->name() + " "), std::string::npos) << command->name();
    const std::string its = help({command->name(), "--help"});
    EXPECT_NE(its.find("\nExamples:\n  musterctl " + command->name()), std::string::npos) << its;
  }
}

TEST(CommandLine, HelpFitsIntoAHundredColumns) {
  for (const auto& command : all_commands()) {
    std::istringstream text(help({command->name(), "--help"}));
    for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 100u) << line;
  }
}

// The shell completes what is there: a new option that nobody added to the file fails here.
TEST(CommandLine, IsKnownToTheShellsCompletion) {
  std::ifstream file(std::string(MUSTER_TEST_DATA_DIR) + "/../config/musterctl.bash-completion");
  ASSERT_TRUE(file.good());
  std::ostringstream content;
  content << file.rdbuf();
  const std::string completion = content.str();
  for (const auto& command : all_commands()) {
    const std::size_t at = completion.find("\n    " + command->name() + ") ");
    ASSERT_NE(at, std::string::npos) << command->name();
    std::string line = completion.substr(at + 1, completion.find(";;", at) - at);
    std::replace(line.begin(), line.end(), '"', ' ');
    std::istringstream words(help({command->name(), "--help"}));
    for (std::string word; words >> word && word != "Examples:";) {
      if (word.starts_with("-h,")) word = "--help";
      if (const auto comma = word.find(",--"); comma != std::string::npos) {
        word = word.substr(comma + 1);
      }
      if (!word.starts_with("--")) continue;
      while (!word.empty() && std::string(".;,").find(word.back()) != std::string::npos) {
        word.pop_back();
      }
      EXPECT_NE(line.find(' ' + word + ' '), std::string::npos) << command->name() << ' ' << word;
    }
  }
}

TEST(ExitStatus, OfABroadcastIsOneForEachThingAScriptCares) {
  using test::finished;
  using test::outcome_of;
  const auto operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  const auto status = [&](std::vector<BackendOutcome> backends, bool allow_empty = false) {
    return exit_status_of(finished(operation, std::move(backends)), allow_empty);
  };
  const auto ack = outcome_of("a", 1, OutcomeKind::kAck);
  const auto late = outcome_of("b", 1, OutcomeKind::kTimeout);
  const auto dead = outcome_of("c", 1, OutcomeKind::kSkippedDead);
  const auto open = outcome_of("d", 1, OutcomeKind::kOpen);
  EXPECT_EQ(status({ack, ack}), 0);
  EXPECT_EQ(status({ack, dead}), 0);
  EXPECT_EQ(status({ack, late}), 1);
  EXPECT_EQ(status({late}, true), 1);
  EXPECT_EQ(status({ack, open}), 1);
  EXPECT_EQ(status({open}), 1);
  // Of a newer broker.
  auto newer = finished(operation, {ack});
  newer.backends.push_back(outcome_of("e", 1, kUnknownOutcome));
  EXPECT_EQ(exit_status_of(newer, true), 1);
  newer.result.acks.clear();
  newer.backends.erase(newer.backends.begin());
  EXPECT_EQ(exit_status_of(newer, true), 1);
  EXPECT_EQ(status({}), 5);
  EXPECT_EQ(status({dead}), 5);
  EXPECT_EQ(status({dead}, true), 0);
}

TEST(ExitStatus, OfSeveralBrokersIsTheWorstAndNobodyAddsNothing) {
  EXPECT_EQ(worst_status({0, 0}), 0);
  EXPECT_EQ(worst_status({0, 5}), 0);
  EXPECT_EQ(worst_status({5, 0, 5}), 0);
  EXPECT_EQ(worst_status({5, 5}), 5);
  EXPECT_EQ(worst_status({5, 1}), 1);
  EXPECT_EQ(worst_status({1, 3, 0}), 3);
  EXPECT_EQ(worst_status({4, 5}), 4);
}

}  // namespace
}  // namespace muster::ctl
