// What musterctl says to a command line, before it looks for a broker.
#include <algorithm>
#include <fstream>
#include <optional>
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

// A row of a table: the command line, and what is said to it: all of it, or how it begins.
struct Wrong {
  std::vector<std::string> arguments;
  std::string said;
};

std::string command_of(const std::vector<std::string>& arguments) {
  std::string text = "musterctl";
  for (const std::string& argument : arguments) text += " '" + argument + "'";
  return text;
}

TEST(CommandLine, ThatIsWrongIsOneSentenceAndStatusTwo) {
  const std::string commands =
      "release-handles, quiesce, with-released, with-quiesced, hold, umount, holders, backends, "
      "status, result, retry, history, cancel, resume, forget, watch, explain-policy, ping";
  const std::string no_id =
      " is no broadcast id: give the number that the broadcast or --detach printed";
  // Without the words that follow each: where to read more, and the end of the line.
  const Wrong kRows[] = {
      {{"release-handles"}, "PATH is required"},
      {{"release-handles", "/a", "/b\x1b"}, "The following argument was not expected: /b\\x1b"},
      {{"release-handles", ""}, "PATH: the path is empty; give an absolute one, like /var/cache/x"},
      {{"ping", "--fast"}, "The following argument was not expected: --fast"},
      {{"quiesce", "--timeout", "5"},
       "--timeout: \"5\" has a number without a unit: write 5s for seconds or 5ms for "
       "milliseconds"},
      {{"quiesce", "--detach", "--dry-run"}, "--detach excludes --dry-run"},
      {{"quiesce", "--detach", "-q"}, "--detach excludes --quiet"},
      {{"quiesce", "--batch", "0"}, "--batch: \"0\" is too few: the least is 1 or 1%"},
      {{"quiesce", "--batch", "101%"}, "--batch: \"101%\" is more than all: the most is 100%"},
      {{"quiesce", "--batch", "1", "--max-failures", "-1"},
       "--max-failures: \"-1\" is no number of backends: write 3, or 25% for a share of them"},
      {{"release-handles", "--hold", "--key", "k", "/a"}, "--key excludes --hold"},
      {{"with-released", "--", "true"}, "PATH is required"},
      {{"hold", "stop"}, "ACTION: \"stop\" is none of start, list, show, end"},
      {{"cancel"}, "ID is required"},
      {{"cancel", "last"}, "ID: \"last\"" + no_id},
      {{"result", "0"}, "ID: \"0\"" + no_id},
      {{"result", "-1"}, "ID: \"-1\"" + no_id},
      {{"result", "17x"}, "ID: \"17x\"" + no_id},
      {{"result", "18446744073709551616"}, "ID: \"18446744073709551616\"" + no_id},
      {{"result", ""}, "ID: \"\"" + no_id},
      {{"ping", "--socket-dir", ""}, "--socket-dir: it is empty: name a directory"},
  };
  for (const Wrong& row : kRows) {
    const std::string& command = row.arguments.front();
    std::string expected = "2 |  | musterctl: ";
    expected += command + ": ";
    expected += row.said;
    expected += " (see musterctl " + command + " --help)\n";
    EXPECT_EQ(said(row.arguments), expected) << command_of(row.arguments);
  }
  const Wrong kWithoutCommand[] = {
      {{}, "name a command: " + commands},
      {{"relase-handles", "/x"},
       "there is no command \"relase-handles\"; the commands are " + commands},
      {{"--quiet", "ping"}, "the option --quiet stands after the command: musterctl ping --quiet"},
      {{"-v", "quiesce"}, "the option -v stands after the command: musterctl quiesce -v"},
      {{"--timeout=1s", "ping"},
       "the option --timeout stands after the command: musterctl ping --timeout"},
      {{"--fast", "ping"}, "there is no option \"--fast\" (see musterctl --help)"},
      {{"--quiet", "watch"}, "there is no option \"--quiet\" (see musterctl --help)"},
      {{"--fast"}, "there is no option \"--fast\" (see musterctl --help)"},
      {{"--socket-dir", "", "ping"},
       "ping: --socket-dir: it is empty: name a directory (see musterctl ping --help)"},
  };
  for (const Wrong& row : kWithoutCommand) {
    EXPECT_EQ(said(row.arguments), "2 |  | musterctl: " + row.said + '\n')
        << command_of(row.arguments);
  }
  const Wrong kBeginnings[] = {
      {{"quiesce", "--timeout", "1s", "--timeout", "2s"}, "quiesce: --timeout"},
      {{"quiesce", "--select", "color=red"}, "quiesce: --select: the selector term \"color="},
      {{"quiesce", "--key", ""}, "quiesce: --key: it is "},
      {{"quiesce", "--key", std::string(257, 'k')}, "quiesce: --key: it has 257 bytes a"},
  };
  for (const Wrong& row : kBeginnings) {
    const std::string text = said(row.arguments);
    EXPECT_TRUE(text.starts_with("2 |  | musterctl: " + row.said)) << text;
  }
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

// Before any broker is asked.
TEST(CommandLine, ThatContradictsItselfIsStatusTwo) {
  const std::string no_socket = "/nonexistent";
  const Wrong kRows[] = {
      {{"release-handles", "--wait", "1s", "/usr"}, "--wait is of --verify: give both"},
      {{"release-handles", "--ttl", "1s", "/usr"}, "--ttl is of --hold: give both"},
      {{"release-handles", "--verify", "--wait", "1s", "--dry-run", "/usr"},
       "--wait excludes --dry-run: nothing is released that could be waited for"},
      {{"quiesce", "--hold", "--dry-run"}, "--hold excludes --dry-run: nothing is released"},
      {{"quiesce", "--max-failures", "1"}, "--max-failures needs --batch or --first"},
      {{"quiesce", "--ask-first", "--key", "k"},
       "--ask-first excludes --key: the key may join an answer of before"},
      {{"quiesce", "--batch", "1", "--hold"},
       "--hold excludes --batch and --first: each wave would have a hold of its own"},
      {{"quiesce", "--first", "service=a", "--hold", "--ttl", "1m"},
       "--hold excludes --batch and --first: each wave would have a hold of its own"},
      {{"release-handles", "--batch", "1", "--key", "k", "/usr"},
       "--key excludes --batch and --first: it names one request"},
      {{"release-handles", "--batch", "1", "--detach", "/usr"},
       "--detach excludes --batch and --first: musterctl asks one wave after the other"},
      {{"quiesce", "--batch", "50%", "--dry-run"},
       "--dry-run shows no waves: give it without --batch and --first"},
      {{"quiesce", "--hold", "--detach"}, "--hold --detach needs --ttl: nobody would end the hold"},
      {{"quiesce", "--ask-first", "--dry-run"},
       "--ask-first excludes --dry-run, which asks nobody"},
      {{"release-handles", "--ask-first", "--detach", "/usr"},
       "--ask-first excludes --detach, which waits for nobody"},
      {{"with-quiesced", "--ask-first", "--force", "--", "true"},
       "--ask-first excludes --force: give one of them"},
      {{"with-released", "/usr"},
       "with-released: name the command behind --, like: musterctl with-released /var/cache/x -- "
       "rm "
       "-r /var/cache/x"},
      {{"with-released", "/usr", "--"},
       "with-released: name the command behind --, like: musterctl with-released /var/cache/x -- "
       "rm "
       "-r /var/cache/x"},
      {{"with-quiesced"},
       "with-quiesced: name the command behind --, like: musterctl with-quiesced -- ./snapshot.sh"},
      {{"with-released", "--no-verify", "--wait", "1s", "/usr", "--", "true"},
       "--wait and --no-verify: give one of them"},
      {{"hold", "start", "/usr"},
       "hold start needs --ttl: a hold that nobody ends would last for ever"},
      {{"hold", "start", "--ttl", "1m"}, "hold start: name a path"},
      {{"hold", "list", "17"}, "hold list takes no arguments"},
      {{"hold", "show"}, "hold show: name a hold's id"},
      {{"hold", "end", "x"},
       "hold end: \"x\" is no broadcast id: give the number that the broadcast or --detach "
       "printed"},
      {{"umount", "/usr/include/sys"},
       "nothing is mounted at /usr/include/sys: no backend was asked"},
  };
  for (const Wrong& row : kRows) {
    std::vector<std::string> arguments = row.arguments;
    arguments.insert(arguments.begin(), {"--socket-dir", no_socket});
    EXPECT_EQ(said(arguments), "2 |  | musterctl: " + row.said + '\n') << command_of(row.arguments);
  }
}

// What stands behind "--" is the other program's, options too.
TEST(CommandLine, TakesNothingOfAnotherProgramsForItsOwn) {
  const std::string text = said(
      {"--socket-dir", "/nonexistent", "with-released", "/usr", "--", "ls", "--json", "--help"});
  EXPECT_EQ(text.substr(0, 18), "3 |  | musterctl: ") << text;
  EXPECT_EQ(said({"with-released", "--json", "/usr", "--", "true"}),
            "2 | {\"error\":{\"code\":\"USAGE\",\"message\":\"with-released takes no --json: "
            "standard output is the command's\"}}\n | ");
  EXPECT_EQ(said({"ping", "--", "with-released"}).substr(0, 5), "2 |  ");
}

TEST(CommandLine, SaysItsVersion) { EXPECT_EQ(help({"--version"}), "musterctl 0.1.0\n"); }

TEST(CommandLine, ExplainsEveryExitStatusAndEveryCommand) {
  const std::string text = help({"--help"});
  for (const char* line :
       {"\n  0  every backend that is not dead", "\n  1  not every", "\n  2  the command line",
        "\n  3  the broker, or that of a user", "\n  4  the broker answered",
        "\n  5  there was no backend", "\n  6  holders", "MUSTER_SOCKET_DIR"}) {
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
  const auto ack = outcome_of("a", 1, OutcomeKind::kAck);
  const auto late = outcome_of("b", 1, OutcomeKind::kTimeout);
  const auto dead = outcome_of("c", 1, OutcomeKind::kSkippedDead);
  const auto open = outcome_of("d", 1, OutcomeKind::kOpen);
  const struct {
    const char* name;
    std::vector<BackendOutcome> backends;
    bool allow_empty;
    int status;
  } kRows[] = {
      {"all acked", {ack, ack}, false, 0},
      {"dead ones do not count", {ack, dead}, false, 0},
      {"one timed out", {ack, late}, false, 1},
      {"nobody acked, and nobody may be there", {late}, true, 1},
      {"one is open", {ack, open}, false, 1},
      {"all are open", {open}, false, 1},
      {"nobody", {}, false, 5},
      {"only dead ones", {dead}, false, 5},
      {"nobody, who may be", {}, true, 0},
      {"only dead ones, who may be", {dead}, true, 0},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(exit_status_of(finished(operation, row.backends), row.allow_empty), row.status)
        << row.name;
  }
  // Of a newer broker.
  auto newer = finished(operation, {ack});
  newer.backends.push_back(outcome_of("e", 1, kUnknownOutcome));
  EXPECT_EQ(exit_status_of(newer, true), 1);
  newer.result.acks.clear();
  newer.backends.erase(newer.backends.begin());
  EXPECT_EQ(exit_status_of(newer, true), 1);
}

TEST(ExitStatus, OfAVerifiedReleaseIsZeroOnlyWhenTheKernelSaysClear) {
  using test::finished;
  using test::outcome_of;
  const BroadcastOperation operation = BroadcastOperation::release_handles("/x");
  const auto ack = outcome_of("a", 1, OutcomeKind::kAck);
  const auto late = outcome_of("b", 1, OutcomeKind::kTimeout);
  using Verdict = HolderVerdict;
  const struct {
    const char* name;
    std::vector<BackendOutcome> backends;
    std::optional<Verdict> verdict;
    bool allow_empty;
    int status;
  } kRows[] = {
      {"acked and clear", {ack}, Verdict::kClear, false, 0},
      {"acked and held", {ack}, Verdict::kHeld, false, 6},
      {"acked and not seen", {ack}, Verdict::kUnknown, false, 6},
      {"acked and cut short", {ack}, std::nullopt, false, 6},
      {"not acked and clear", {ack, late}, Verdict::kClear, false, 1},
      {"not acked and held", {late}, Verdict::kHeld, false, 1},
      {"nobody and clear", {}, Verdict::kClear, false, 5},
      {"nobody, who may be, and clear", {}, Verdict::kClear, true, 0},
      {"nobody, who may be, and held", {}, Verdict::kHeld, true, 6},
  };
  for (const auto& row : kRows) {
    BroadcastReport report = finished(operation, row.backends);
    report.verify = true;
    if (row.verdict) report.verification.emplace().scan.verdict = *row.verdict;
    EXPECT_EQ(exit_status_of(report, row.allow_empty), row.status) << row.name;
    EXPECT_EQ(exit_status_of(report, row.allow_empty, true), row.status) << row.name;
    // An older broker says nothing of it; then only the operator's wish shows that it is missing.
    report.verify = false;
    report.verification.reset();
    const int without = status_of_outcomes(report, row.allow_empty);
    EXPECT_EQ(exit_status_of(report, row.allow_empty), without) << row.name;
    EXPECT_EQ(exit_status_of(report, row.allow_empty, true), without == 0 ? 6 : without)
        << row.name;
    report.verify = true;
    report.state = BroadcastState::kVerifying;
    EXPECT_EQ(exit_status_of(report, row.allow_empty), 1) << row.name;
    EXPECT_EQ(least_exit_status_of(report, row.allow_empty), without) << row.name;
  }
}

TEST(ExitStatus, OfAHoldIsSixWhenItWasViolatedOrIsNotClearInTheEnd) {
  HoldState state;
  EXPECT_EQ(status_of_hold(state), 0) << "nobody looked";
  state.scans = 2;
  EXPECT_EQ(status_of_hold(state), 6) << "it could not be seen";
  state.last_verdict = HolderVerdict::kHeld;
  EXPECT_EQ(status_of_hold(state), 6);
  state.last_verdict = HolderVerdict::kClear;
  EXPECT_EQ(status_of_hold(state), 0);
  state.more_violations = 1;
  EXPECT_EQ(status_of_hold(state), 6);
  state.more_violations = 0;
  state.violations.emplace_back();
  EXPECT_EQ(status_of_hold(state), 6);
}

TEST(ExitStatus, OfAnAnswerWhoseHoldIsOverOrViolatedIsSix) {
  BroadcastReport report(BroadcastOperation::release_handles("/x"));
  report.state = BroadcastState::kFinished;
  report.result.acks.push_back({BackendKey{Instance::shared(), "a", "1.0.0", ""}});
  HoldState& hold = report.hold.emplace();
  EXPECT_EQ(status_of_answer(report, false, false), 0);
  hold.ended = HoldEnd::kExpired;
  EXPECT_EQ(status_of_answer(report, false, false), 6);
  EXPECT_EQ(exit_status_of(report, false), 0) << "later, it is over in order";
  hold.violations.emplace_back();
  EXPECT_EQ(exit_status_of(report, false), 6);
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
