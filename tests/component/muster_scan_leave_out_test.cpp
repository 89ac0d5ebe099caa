// What a scan says once the processes of whoever asked are left out of it.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "os/holders/family.h"

namespace muster::test {
namespace {

Holder holder_of(pid_t pid, std::uint64_t started, HeldBy kind, bool possibly = false) {
  Holder holder;
  holder.pid = pid;
  holder.started = started;
  holder.held = {{kind, 1}};
  holder.possibly = possibly;
  return holder;
}

TEST(MusterScanLeaveOut, JudgesByWhatIsLeft) {
  const os::ProcessFamily own{{10, 100}, {11, 110}};
  const os::ProcessFamily alone{{10, 100}};
  constexpr auto kFile = HeldBy::kDescriptor;
  constexpr auto kPlace = HeldBy::kWorkingDirectory;
  struct Case {
    const os::ProcessFamily& family;
    std::vector<Holder> holders;
    std::uint64_t busy;
    std::vector<pid_t> unseen;
    std::uint64_t more;
    const char* left;
    HolderVerdict verdict;
    bool by_unknown;
  };
  constexpr auto kClear = HolderVerdict::kClear;
  constexpr auto kIsHeld = HolderVerdict::kHeld;
  constexpr auto kUnknown = HolderVerdict::kUnknown;
  const Case cases[]{
      {own, {holder_of(10, 100, kPlace)}, 0, {}, 0, "", kClear, false},
      {own, {holder_of(10, 100, kPlace), holder_of(11, 110, kPlace)}, 0, {}, 0, "", kClear, false},
      {alone, {holder_of(10, 100, kFile)}, 1, {}, 0, "", kUnknown, false},
      {own, {holder_of(11, 110, kFile)}, 1, {}, 0, "", kUnknown, false},
      // A directory is no reason why a file is busy: somebody unknown has that.
      {alone, {holder_of(10, 100, kPlace)}, 1, {}, 0, "", kIsHeld, true},
      {alone, {}, 1, {}, 0, "", kIsHeld, true},
      // A command that runs may have had it the moment before.
      {own, {}, 1, {}, 0, "", kUnknown, false},
      {own,
       {holder_of(10, 100, kFile), holder_of(12, 120, kFile)},
       1,
       {},
       0,
       "12 ",
       kIsHeld,
       false},
      {own, {holder_of(10, 101, kFile)}, 1, {}, 0, "10 ", kIsHeld, false},
      {own,
       {holder_of(10, 100, kFile), holder_of(12, 120, kFile, true)},
       0,
       {},
       0,
       "12 ",
       kUnknown,
       false},
      {own, {holder_of(10, 100, kPlace)}, 0, {12}, 0, "", kUnknown, false},
      {own, {holder_of(10, 100, kPlace)}, 0, {11}, 0, "", kClear, false},
      {own, {}, 0, {11}, 0, "", kClear, false},
      {own, {}, 0, {0}, 0, "", kUnknown, false},
      // Nobody tells who the others are.
      {own, {holder_of(10, 100, kPlace)}, 0, {}, 5, "", kIsHeld, false},
  };
  for (const Case& one : cases) {
    HolderScan scan;
    const bool is_held = !one.holders.empty() || one.busy != 0;
    scan.verdict = is_held ? kIsHeld : kUnknown;
    scan.holders = one.holders;
    scan.leases.files = scan.leases.busy = one.busy;
    for (const pid_t pid : one.unseen) scan.unseen.push_back({pid, 0, "", "its descriptors"});
    scan.more_holders = one.more;
    os::leave_out(scan, one.family, one.family);
    std::string left;
    for (const Holder& holder : scan.holders) left += std::to_string(holder.pid) + ' ';
    EXPECT_EQ(left, one.left) << &one - cases;
    EXPECT_EQ(scan.verdict, one.verdict) << &one - cases;
    EXPECT_EQ(scan.held_by_unknown(), one.by_unknown) << &one - cases;
  }
}

TEST(MusterScanLeaveOut, WhatCouldNotBeSeenOfAPidIsItsOwnOnlyIfItWasTheSameAllTheTime) {
  HolderScan scan;
  scan.unseen = {{11, 0, "", "its descriptors"}};
  os::leave_out(scan, {{10, 100}, {11, 110}}, {{10, 100}, {11, 115}});
  EXPECT_EQ(scan.unseen.size(), 1U);
  EXPECT_EQ(scan.verdict, HolderVerdict::kUnknown);
  os::leave_out(scan, {{10, 100}}, {{10, 100}, {11, 115}});
  EXPECT_EQ(scan.unseen.size(), 1U);
}

}  // namespace
}  // namespace muster::test
