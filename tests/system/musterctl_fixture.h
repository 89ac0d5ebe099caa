// What the system tests of musterctl share: a broker of its own, and text without what differs from
// run to run.
#pragma once

#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"
#include "system/programs.h"

namespace muster::test {

// Without what differs from run to run: ids, pids, who runs the test, measured times.
inline std::string settled(std::string text) {
  static const std::vector<std::pair<std::regex, std::string>> kSame = {
      {std::regex("[0-9]{9,}"), "ID"},
      {std::regex("pid [0-9]+, uid [0-9]+( [a-z][-a-z0-9_]*)?"), "pid P, uid U"},
      {std::regex("\"pid\":[0-9]+,\"uid\":[0-9]+"), "\"pid\":P,\"uid\":U"},
      {std::regex("\\b(in|after) [0-9.]+ m?s"), "$1 T"},
      {std::regex("(since|^)[ ]?[0-9]{2}:[0-9]{2}:[0-9]{2}"), "$1 HH:MM:SS"},
      {std::regex("asked by ([a-z][-a-z0-9_]* \\(uid [0-9]+\\)|uid [0-9]+), pid [0-9]+"),
       "asked by U, pid P"},
      {std::regex("\"uid\":[0-9]+,\"pid\":[0-9]+"), "\"uid\":U,\"pid\":P"},
      {std::regex("(latency_ms|duration_ms)\":[0-9.e-]+"), "$1\":T"},
  };
  for (const auto& [pattern, with] : kSame) text = std::regex_replace(text, pattern, with);
  return text;
}

inline std::string picture(const Finished& finished) {
  return settled(std::to_string(finished.status) + "\n" + finished.out + "--- stderr\n" +
                 finished.err);
}

inline std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// The lines of what a backend printed that are about operations.
inline std::string operations(const Process& backend) {
  std::string found;
  std::istringstream lines(backend.out());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("operation ") || line.starts_with("cancelled ")) found += line + '\n';
  }
  return settled(found);
}

class Musterctl : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(programs.leaked_by_broker(), ""); }

  Process& backend(const std::string& service, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--service", service, "--ack-timeout", "5m"});
    return programs.backend(std::move(more));
  }

  Programs programs;
};

}  // namespace muster::test
