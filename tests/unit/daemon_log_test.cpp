// Log lines: what they look like, that nothing raw gets into them, and that writing never waits.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/details/log_msg.h>

#include "log/line_formatter.h"
#include "log/line_limit.h"
#include "log/log.h"
#include "log/record.h"
#include "log/stderr_sink.h"
#include "os/unique_fd.h"
#include "support/temp_dir.h"

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
            "m f=a\\x0ab\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae\\xff\\x00\\x7f");
  EXPECT_EQ(render_json("m", {{"f", evil}}),
            "\"message\":\"m\",\"f\":\"a\\u000ab\\u001b[2J\\u009b\\u202e\\ufffd\\u0000\\u007f\"");
  EXPECT_EQ(render_text("über", {{"f", "größer"}}), "über f=größer");
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
  EXPECT_EQ(line(LogFormat::kText, Log::Reader::kJournal, "library", "a\nb"), "<4>a\\x0ab\n");
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
    EXPECT_EQ(rest, fmt::format("info    after\n"
                                "warning {} log lines before this one are missing: stderr did not "
                                "take them\n"
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
