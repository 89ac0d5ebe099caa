// What a backend says comes out of the log, the JSON log and musterctl as what it said, and as
// nothing else.
#include <string>

#include <gtest/gtest.h>

#include "support/log_reader.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

class HostileTextTest : public MusterdTest {
 protected:
  static const std::vector<std::string>& details() {
    static const std::vector<std::string> kDetails = {R"(x\" pid=1 uid=0)",
                                                      R"(x" pid=1 uid=0 why="y)",
                                                      "\\",
                                                      "a\nb=1",

                                                      "\x1b[2Jbroadcast finished acks=1",
                                                      "\xe2\x80\xae\xc2\x85 ms=1",
                                                      "{\"uid\":0}"};
    return kDetails;
  }
  // Has a backend of the broker reject with that detail. Empty: musterctl shows it whole.
  std::string reject(TestBackend& backend, const std::string& detail) const {
    Process ctl({program("musterctl"), "release-handles", "/cache"},
                with_environment({{"MUSTER_SOCKET_DIR", sockets().native()}}));
    (void)backend.hears();
    backend.fails(std::get<OutgoingOperation>(backend.last().message).broadcast_id,
                  BroadcastFailureReason::kRejected, detail);
    const std::string out = ctl.finish().out;
    const auto begin = out.find("): \"") + 3;
    const auto end = out.find('\n', begin);
    return read_quoted(out.substr(begin, end - begin)) == detail ? std::string() : out;
  }
  // The field of the record that is about the failure.
  static std::string field(const std::optional<ReadRecord>& record, const std::string& name) {
    if (!record) return "no record";
    std::string found;
    for (const auto& [each, value] : record->fields) {
      if (each == name) found += found.empty() ? value : ", again " + value;
    }
    return found;
  }
};

TEST_F(HostileTextTest, IsReadBackFromTheTextLog) {
  Process broker = start();
  TestBackend backend = join("a");
  for (const std::string& detail : details()) {
    EXPECT_EQ(reject(backend, detail), "") << detail;
    constexpr std::size_t kTimeAndLevel = 33;
    std::string line = broker.wait_for("backend failed").substr(kTimeAndLevel);
    if (line.ends_with('\n')) line.pop_back();
    const auto record = read_text_record(line);
    EXPECT_EQ(field(record, "detail"), "rejected: " + detail) << line;
    EXPECT_EQ(field(record, "pid"), std::to_string(::getpid())) << line;
    EXPECT_EQ(field(record, "uid"), std::to_string(::getuid())) << line;
  }
}

TEST_F(HostileTextTest, IsReadBackFromTheJsonLog) {
  Process broker = start({"--log-format", "json"});
  TestBackend backend = join("a");
  for (const std::string& detail : details()) {
    (void)reject(backend, detail);
    std::string line = broker.wait_for("backend failed");
    if (line.ends_with('\n')) line.pop_back();
    const auto record = read_json_record(line);
    EXPECT_EQ(field(record, "detail"), "rejected: " + detail) << line;
    EXPECT_EQ(field(record, "pid"), std::to_string(::getpid())) << line;
  }
}

}  // namespace
}  // namespace muster::test
