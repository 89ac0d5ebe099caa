// What the tests of scans share: a directory with a file, children that hold it, and what a scan
// says of them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "os/holders/scan.h"
#include "support/child.h"
#include "support/file_holding.h"
#include "support/temp_dir.h"

namespace muster::test {

class HoldersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(path());
    std::ofstream(path() + "/file") << "content";
  }
  [[nodiscard]] std::string path() const { return (directory_ / "cache").native(); }
  [[nodiscard]] std::string file() const { return path() + "/file"; }
  [[nodiscard]] std::string outside(const std::string& name) const {
    return (directory_ / name).native();
  }

  // A child that holds something by `how` until the test ends.
  Child& holder(const std::function<void()>& how) {
    std::string problem;
    auto child = start_holder(how, problem);
    if (child == nullptr) throw std::runtime_error(problem);
    children_.push_back(std::move(child));
    return *children_.back();
  }

  // A process of another test may have a descriptor in flight just now: that is not looked at here.
  [[nodiscard]] HolderScan scan(const std::string& prefix,
                                const os::ScanBounds& bounds = {}) const {
    HolderScan seen = os::scan_holders(prefix, bounds);
    std::erase_if(seen.holders, [&](const Holder& one) {
      const bool is_ours = one.pid == ::getpid() ||
                           std::any_of(children_.begin(), children_.end(),
                                       [&](const auto& child) { return child->pid() == one.pid; });
      return one.possibly && one.pid != 0 && !is_ours;
    });
    return seen;
  }
  [[nodiscard]] static const Holder* find(const HolderScan& seen, pid_t pid) {
    const auto at = std::find_if(seen.holders.begin(), seen.holders.end(),
                                 [&](const Holder& one) { return one.pid == pid; });
    return at == seen.holders.end() ? nullptr : &*at;
  }
  [[nodiscard]] static std::string kinds(const Holder* holder) {
    if (holder == nullptr) return "nobody";
    std::string text;
    for (const Held& one : holder->held) {
      if (!text.empty()) text += ", ";
      text += std::to_string(one.count) + ' ' + std::string(to_string(one.kind));
    }
    return text;
  }
  [[nodiscard]] static std::string all(const HolderScan& seen) {
    std::string text;
    for (const Holder& one : seen.holders) {
      text += "pid " + std::to_string(one.pid) + ' ' + one.command + one.object + ": " +
              kinds(&one) + ' ' + one.example + '\n';
    }
    return text;
  }
  // What the scan says of the one who holds; nobody else may.
  void expect_held(pid_t pid, const std::string& what, const std::string& example) {
    const HolderScan seen = scan(path());
    EXPECT_EQ(seen.problem, "");
    EXPECT_EQ(seen.verdict, HolderVerdict::kHeld);
    EXPECT_EQ(kinds(find(seen, pid)), what);
    EXPECT_EQ(seen.holders.size(), 1u);
    if (const Holder* found = find(seen, pid)) {
      EXPECT_EQ(found->example, example);
    }
  }
  // Some hosts have a process that not even root may look at; then it is not known.
  void expect_free() {
    const HolderScan seen = scan(path());
    EXPECT_EQ(seen.problem, "");
    EXPECT_EQ(seen.holders.size(), 0u) << all(seen);
    EXPECT_EQ(seen.leases.busy, 0u) << seen.leases.busy_example;
    EXPECT_NE(seen.verdict, HolderVerdict::kHeld);
    EXPECT_TRUE(seen.unseen.empty() || seen.verdict == HolderVerdict::kUnknown);
  }

  TempDir directory_;
  std::vector<std::unique_ptr<Child>> children_;
};

}  // namespace muster::test
