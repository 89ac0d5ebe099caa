// Log lines: what they look like, that nothing raw gets into them, and that writing never waits.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/details/log_msg.h>

#include "model/characters.h"
#include "musterd/log/line_limit.h"
#include "musterd/log/log.h"
#include "musterd/log/record.h"
#include "musterd/log/stderr_sink.h"
#include "os/unique_fd.h"
#include "support/log_reader.h"
#include "support/temp_dir.h"
#include "support/wire_random.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;

TEST(DaemonLogRecord, TextHasItsFieldsBehindTheMessage) {
  EXPECT_EQ(render_text("backend registered", {{"backend", "zccache 1.4.2"},
                                               {"pid", std::int64_t{-1}},
                                               {"uid", std::uint64_t{18446744073709551615U}},
                                               {"ms", 0.25},
                                               {"empty", ""},
                                               {"path", "/a/b"},
                                               {"odd", "a=\"b\""}}),
            "backend registered backend=\"zccache 1.4.2\" pid=-1 uid=18446744073709551615 ms=0.25 "
            "empty=\"\" path=/a/b odd=\"a=\\\"b\\\"\"");
}

TEST(DaemonLogRecord, JsonHasTheSame) {
  EXPECT_EQ(render_json("m \"q\"", {{"backend", "a\\b"}, {"n", std::int64_t{7}}, {"ms", 1.5}}),
            "\"message\":\"m \\\"q\\\"\",\"backend\":\"a\\\\b\",\"n\":7,\"ms\":1.5");
}

TEST(DaemonLogRecord, NothingRawOfAPeerGetsThrough) {
  // A new line, a terminal sequence, C1, a direction override, what is no UTF-8, a NUL.
  const std::string evil("a\nb\x1b[2J\xc2\x9b\xe2\x80\xae\xff\0\x7f", 15);
  EXPECT_EQ(render_text("m", {{"f", evil}}),
            "m f=\"a\\x0ab\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae\\xff\\x00\\x7f\"");
  EXPECT_EQ(render_json("m", {{"f", evil}}),
            "\"message\":\"m\",\"f\":\"a\\u000ab\\u001b[2J\\u009b\\u202e\\ufffd\\u0000\\u007f\","
            "\"f_bytes\":\"YQpiG1sySsKb4oCu/wB/\"");
  EXPECT_EQ(render_text("über", {{"f", "größer"}}), "über f=größer");
}

TEST(DaemonLogRecord, APeerCannotForgeAField) {
  EXPECT_EQ(render_text("backend failed", {{"detail", R"(x\" pid=1 uid=0)"}}),
            R"(backend failed detail="x\\\" pid=1 uid=0")");
  EXPECT_EQ(render_text("backend failed", {{"detail", R"(x\)"}, {"pid", std::int64_t{7}}}),
            R"(backend failed detail="x\\" pid=7)");
  EXPECT_EQ(render_text("a\xc2\xa0pid=1", {}), R"("a\xc2\xa0pid=1")") << "a blank beyond ASCII";
}

TEST(DaemonLogRecord, AMessageThatLooksLikeAFieldIsQuoted) {
  EXPECT_EQ(render_text("cannot open /x pid=1", {}), R"("cannot open /x pid=1")");
  EXPECT_EQ(render_text(R"("quoted" from the start)", {}), R"("\"quoted\" from the start")");
  EXPECT_EQ(render_text("", {}), R"("")");
  EXPECT_EQ(render_text("pid=1", {}), R"("pid=1")");
  EXPECT_EQ(render_text("pass a ListenStream= (Name=)", {}), "pass a ListenStream= (Name=)");
  EXPECT_EQ(render_text("x =", {{"pid", std::int64_t{1}}}), "x = pid=1");
  EXPECT_EQ(render_text(R"(the key "x" is unknown)", {}), R"(the key "x" is unknown)");
}

// The same fields, as a reader must get them.
test::ReadRecord meant(std::string message, const std::string& first, const std::string& second) {
  return {std::move(message),
          {{"backend", first}, {"pid", "-1"}, {"why", second}, {"uid", "18446744073709551615"}}};
}
LogField field_of(std::string_view text) { return {"backend", text}; }

void expect_to_read_back(const std::string& message, const std::string& first,
                         const std::string& second) {
  const std::initializer_list<LogField> fields = {
      field_of(first), {"pid", std::int64_t{-1}}, {"why", second}, {"uid", ~std::uint64_t{0}}};
  const auto wanted = meant(message, first, second);
  const std::string text = render_text(message, fields);
  EXPECT_EQ(test::read_text_record(text), wanted) << text;
  EXPECT_TRUE(utf8::is_valid(text)) << text;
  EXPECT_EQ(test::read_text_record(render_text(message, {})), (test::ReadRecord{message, {}}))
      << render_text(message, {});
  const std::string json = '{' + render_json(message, fields) + '}';
  EXPECT_EQ(test::read_json_record(json), wanted) << json;
  EXPECT_TRUE(utf8::is_valid(json)) << json;
}

TEST(DaemonLogRecord, WhatIsReadIsWhatWasWrittenWhateverBytesItHas) {
  const auto seed = test::random_seed();
  SCOPED_TRACE("MUSTER_TEST_SEED=" + std::to_string(seed));
  test::WireRandom random(seed);
  static constexpr std::string_view kPieces[] = {"\"", "\\",           " pid=1", " ",    "=",
                                                 ",",  "\n",           "\x1b",   "\xff", "\\x0a",
                                                 "{",  "\xe2\x80\xae", "_bytes"};
  const auto nasty = [&] {
    std::string text;
    for (auto n = random.up_to(5); n > 0; --n) {
      text += random.chance() ? random.bytes(4) : random.text(4);
      text += kPieces[random.up_to(std::size(kPieces) - 1)];
    }
    return text;
  };
  for (int i = 0; i < 20'000 && !HasFailure(); ++i) expect_to_read_back(nasty(), nasty(), nasty());
}

TEST(DaemonLogRecord, WhatIsReadIsWhatWasWrittenForEveryByteAndPairOfSpecialOnes) {
  for (int a = 0; a < 256; ++a) {
    for (const char b : std::string_view("\"\\ =,x\0\n", 8)) {
      const std::string text{static_cast<char>(a), b};
      expect_to_read_back(text, text, std::string{b, static_cast<char>(a)});
    }
  }
}

TEST(DaemonLogRecord, TheReaderRefusesWhatTheGrammarDoesNotHave) {
  for (const char* record : {"", " a=1", "m a=", "m a=\"", "m a=\"x\"y", "m a=b c", "m\\x",
                             "m a=x\\y", "\"m", "m a=1 ", "m a=\"\\n\""}) {
    EXPECT_EQ(test::read_text_record(record), std::nullopt) << record;
  }
  for (const char* json :
       {"", "{}x", "{\"message\":\"m\"", "{\"message\":\"\\x\"}", "{\"message\":\"\\ud800\"}",
        "{\"message\":\"a\nb\"}", "{\"message\":m}"}) {
    EXPECT_EQ(test::read_json_record(json), std::nullopt) << json;
  }
}

std::string line(LogFormat format, Log::Reader reader, spdlog::string_view_t logger,
                 std::string_view payload) {
  spdlog::details::log_msg message(logger, spdlog::level::warn,
                                   spdlog::string_view_t(payload.data(), payload.size()));
  message.time = std::chrono::system_clock::time_point(1'800'000'000s + 7ms);
  spdlog::memory_buf_t out;
  LineFormatter(format, reader).format(message, out);
  return {out.data(), out.size()};
}

TEST(DaemonLogLine, SaysWhenAndHowBad) {
  const spdlog::string_view_t ours(kRenderedLogger.data(), kRenderedLogger.size());
  EXPECT_EQ(line(LogFormat::kText, Log::Reader::kPeople, ours, "m a=1"),
            "2027-01-15T08:00:00.007Z warning m a=1\n");
  EXPECT_EQ(line(LogFormat::kJson, Log::Reader::kPeople, ours, "\"message\":\"m\""),
            "{\"time\":\"2027-01-15T08:00:00.007Z\",\"level\":\"warning\",\"message\":\"m\"}\n");
}

TEST(DaemonLogLine, SaysItsOwnTimeWhateverTheOneBeforeSaid) {
  const std::pair<std::chrono::milliseconds, std::string_view> kTimes[] = {
      {1'800'000'000'007ms, "2027-01-15T08:00:00.007Z"},
      {1'800'000'000'999ms, "2027-01-15T08:00:00.999Z"},
      {1'800'000'001'000ms, "2027-01-15T08:00:01.000Z"},
      {-1ms, "1969-12-31T23:59:59.999Z"},                 // a host without a battery for its clock
      {1'799'996'400'000ms, "2027-01-15T07:00:00.000Z"},  // the clock was set back
  };
  LineFormatter formatter(LogFormat::kText, Log::Reader::kPeople);
  for (const auto& [time, text] : kTimes) {
    spdlog::details::log_msg message("library", spdlog::level::info, "m");
    message.time = std::chrono::system_clock::time_point(time);
    spdlog::memory_buf_t out;
    formatter.format(message, out);
    EXPECT_EQ(std::string_view(out.data(), out.size()), std::string(text) + " info    m\n");
  }
}

TEST(DaemonLogLine, ForTheJournalHasAPriorityAndNoTime) {
  const spdlog::string_view_t ours(kRenderedLogger.data(), kRenderedLogger.size());
  EXPECT_EQ(line(LogFormat::kText, Log::Reader::kJournal, ours, "m"), "<4>m\n");
  EXPECT_EQ(line(LogFormat::kJson, Log::Reader::kJournal, ours, "\"message\":\"m\""),
            "<4>{\"time\":\"2027-01-15T08:00:00.007Z\",\"level\":\"warning\",\"message\":\"m\"}\n");
}

TEST(DaemonLogLine, WhatOtherCodeLogsIsMadeSafeToo) {
  EXPECT_EQ(line(LogFormat::kText, Log::Reader::kJournal, "library", "a\nb"), "<4>\"a\\x0ab\"\n");
  EXPECT_EQ(
      line(LogFormat::kJson, Log::Reader::kPeople, "library", "a\"b"),
      "{\"time\":\"2027-01-15T08:00:00.007Z\",\"level\":\"warning\",\"message\":\"a\\\"b\"}\n");
}

TEST(DaemonLog, FindsOutWhetherTheJournalReads) {
  const test::TempDir dir;
  const os::UniqueFd fd(::open((dir / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat found {};
  ASSERT_EQ(::fstat(fd.get(), &found), 0);
  EXPECT_TRUE(is_journal(fd.get(), fmt::format("{}:{}", found.st_dev, found.st_ino).c_str()));
  EXPECT_FALSE(is_journal(fd.get(), fmt::format("{}:{}", found.st_dev, found.st_ino + 1).c_str()));
  for (const char* text : {"", ":", "1", "1:", ":1", "x:y", "1:2:3"}) {
    EXPECT_FALSE(is_journal(fd.get(), text)) << text;
  }
  EXPECT_FALSE(is_journal(fd.get(), nullptr));
}

TEST(DaemonLineLimit, LetsABurstThroughThenSoManyASecondAndCountsTheRest) {
  LineLimit limit(3, 2);
  const auto start = LineLimit::Time(1000s);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.admit(start), 0U);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(limit.admit(start), std::nullopt);
  EXPECT_EQ(limit.admit(start + 499ms), std::nullopt);
  EXPECT_EQ(limit.admit(start + 500ms), 8U);
  EXPECT_EQ(limit.admit(start + 501ms), std::nullopt);
  EXPECT_EQ(limit.admit(start + 1h), 1U);
  EXPECT_EQ(limit.admit(start + 1h), 0U) << "a burst again";
}

TEST(DaemonLineLimit, RemembersABoundedNumberOfUsers) {
  UserLineLimits limits(100'000, {{3, 1}, {6, 1}, 10});
  auto now = LineLimit::Time(1000s);
  const auto lines_of = [&](uid_t user) {
    int lines = 0;
    while (limits.admit(user, now)) ++lines;
    return lines;
  };
  for (uid_t user = 1; user <= 10; ++user) EXPECT_EQ(lines_of(user), 3) << user;
  // Full of users that used theirs up: all further ones share one, and nobody known loses its own.
  EXPECT_EQ(lines_of(11), 3);
  for (uid_t user = 12; user < 10'000; ++user) EXPECT_EQ(lines_of(user), 0) << user;
  EXPECT_EQ(limits.users(), 10U);
  EXPECT_EQ(lines_of(0), 6) << "root";
  EXPECT_EQ(lines_of(100'000), 6) << "the broker's own user";
  EXPECT_EQ(limits.users(), 12U);
  // Whoever has been quiet makes room, and what was left out of its lines is told with others.
  now += 3s;
  EXPECT_EQ(lines_of(20'000), 3);
  EXPECT_LT(limits.users(), 12U);
  now += 1h;
  for (uid_t user = 1; user <= 9; ++user) EXPECT_EQ(lines_of(user), 3);
  std::uint64_t told = 0;
  for (uid_t user = 30'000; user < 30'020; ++user) {
    if (const auto admitted = limits.admit(user, now); admitted && admitted->shared) {
      told += admitted->left_out;
    }
  }
  EXPECT_GE(told, 9'988U + 10U) << "of 12 to 9,999, and one each of 1 to 10";
}

// The sink over a pipe or socket that nobody reads until the test does.
class DaemonStderrSinkTest : public ::testing::Test {
 protected:
  // As musterd does: whoever reads stderr may go.
  DaemonStderrSinkTest() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~DaemonStderrSinkTest() override { std::signal(SIGPIPE, before_); }

  void use_pipe(int flags = 0) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | flags), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
  }
  void use_socket() {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
  }
  // All that is there now.
  std::string read_all() {
    std::string text;
    std::array<char, 65'536> chunk{};
    ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
    for (;;) {
      const ssize_t got = ::read(reader_.get(), chunk.data(), chunk.size());
      if (got <= 0) return text;
      text.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }
  // Logs until far more is lost than fits, and returns how many lines that were.
  int flood(Log& log) {
    constexpr int kLines = 2'000;
    for (int i = 0; i < kLines; ++i) log.info(fmt::format("line {}", i), {{"pad", pad_}});
    return kLines;
  }
  // Every line whole, in order, and the gap told.
  void expect_a_told_gap(Log& log) {
    const int flooded = flood(log);
    const std::string early = read_all();
    log.info("after");
    log.info("then");
    std::istringstream lines(early + read_all());
    int written = 0;
    std::string rest;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("line ") != std::string::npos) {
        EXPECT_NE(line.find(fmt::format("line {} pad={}", written, pad_)), std::string::npos)
            << line;
        ++written;
      } else {
        rest += line.substr(line.find(' ') + 1) + '\n';
      }
    }
    EXPECT_GT(written, 3);
    EXPECT_LT(written, flooded);
    EXPECT_EQ(
        rest,
        fmt::format("info    after\n"
                    "warning {} log lines before this one were dropped: stderr was full or closed\n"
                    "info    then\n",
                    flooded - written));
  }

  void (*before_)(int);
  std::string pad_ = std::string(300, 'x');
  os::UniqueFd reader_;
  os::UniqueFd writer_;
};

TEST_F(DaemonStderrSinkTest, AFullPipeLosesLinesAndSaysHowMany) {
  use_pipe();
  Log log(writer_.get(), {});
  expect_a_told_gap(log);
}

// One of another user, say: it cannot be opened again, and its flags are not to be touched.
TEST_F(DaemonStderrSinkTest, AFullPipeThatCannotBeOpenedAgainLosesLinesToo) {
  for (const std::size_t size : {300U, 9'000U}) {
    pad_ = std::string(size, 'x');
    use_pipe();
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit no_more{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &no_more), 0);
    Log log(writer_.get(), {});
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_a_told_gap(log);
    EXPECT_EQ(::fcntl(writer_.get(), F_GETFL) & O_NONBLOCK, 0);
  }
}

TEST_F(DaemonStderrSinkTest, AFullPipeThatTakesPartsOfLinesGetsWholeLines) {
  pad_ = std::string(9'000, 'x');
  use_pipe();
  Log log(writer_.get(), {});
  expect_a_told_gap(log);
}

TEST_F(DaemonStderrSinkTest, AFullSocketLosesLinesAndSaysHowMany) {
  use_socket();
  Log log(writer_.get(), {});
  expect_a_told_gap(log);
}

TEST_F(DaemonStderrSinkTest, TheFlagsOfASharedPipeStayAsTheyAre) {
  use_pipe();
  Log log(writer_.get(), {});
  log.info("m");
  EXPECT_EQ(::fcntl(writer_.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(DaemonStderrSinkTest, AReaderThatIsGoneHarmsNobody) {
  use_pipe();
  Log log(writer_.get(), {});
  reader_.reset();
  log.info("into nothing");
  log.info("again");
}

TEST_F(DaemonStderrSinkTest, APipeWhoseReaderIsGoneFromTheStartHarmsNobody) {
  use_pipe();
  reader_.reset();
  Log log(writer_.get(), {});
  log.info("into nothing");
}

TEST_F(DaemonStderrSinkTest, AClosedDescriptorHarmsNobody) {
  Log log(999, {});
  log.error("into nothing");
}

TEST_F(DaemonStderrSinkTest, ARegularFileGetsEverything) {
  const test::TempDir dir;
  const os::UniqueFd fd(::open((dir / "log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  Log log(fd.get(), {LogLevel::kWarning, LogFormat::kText});
  log.info("not this");
  log.warning("but this");
  log.set_level(LogLevel::kDebug);
  EXPECT_EQ(log.level(), LogLevel::kDebug);
  log.debug("and this");
  std::array<char, 256> text{};
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  const std::string all(text.data(), static_cast<std::size_t>(got));
  EXPECT_EQ(all.substr(all.find(' ')).substr(0, 18), " warning but this\n");
  EXPECT_NE(all.find("debug   and this\n"), std::string::npos);
  EXPECT_EQ(all.find("not this"), std::string::npos);
}

}  // namespace
}  // namespace muster::daemon
