// Which processes a roster is about where the broker has moved, and when a change is on disk.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/state/journal.h"
#include "os/whereabouts.h"
#include "unit/daemon_stores_fixture.h"

namespace muster::daemon {
namespace {

constexpr std::size_t kBytesOfNamespaces = 16;  // of a record that has them

class DaemonRosterTest : public DaemonStoresTest {};

TEST_F(DaemonRosterTest, WhoRegisteredInAnotherNamespaceIsUnseenAndNotGone) {
  ASSERT_NE(here_.namespaces.pid, 0U);
  RosterEntry gone = entry_of("gone");
  gone.start_ticks += 1;  // whoever has that pid here is another process
  EXPECT_FALSE(is_unseen(gone, here_));
  EXPECT_FALSE(may_live(gone, here_));
  for (auto os::Namespaces::*const kind : {&os::Namespaces::pid, &os::Namespaces::time}) {
    RosterEntry elsewhere = gone;
    elsewhere.namespaces.*kind = 4711;
    EXPECT_TRUE(is_unseen(elsewhere, here_));
    EXPECT_TRUE(may_live(elsewhere, here_));
    EXPECT_FALSE(may_live(elsewhere, {"another-boot", here_.namespaces}));
    elsewhere.namespaces.*kind = 0;
    EXPECT_FALSE(is_unseen(elsewhere, here_)) << "not recorded";
    EXPECT_FALSE(may_live(elsewhere, here_));
  }
  EXPECT_TRUE(is_unseen(gone, {here_.boot_id, {}})) << "nobody can tell where the broker is now";
}

TEST_F(DaemonRosterTest, ARosterWithoutNamespacesIsReadAsBefore) {
  RosterEntry entry = entry_of("old");
  for (const Cause refused : {Cause::kNone, Cause::kRefusedKey}) {
    entry.refused = refused;
    const std::string record = encode_roster_change({entry, RosterChange::Kind::kRegistered});
    const auto read = decode_roster_change(record.substr(0, record.size() - kBytesOfNamespaces));
    ASSERT_TRUE(read);
    RosterEntry before = entry;
    before.namespaces = {};
    EXPECT_EQ(read->entry, before);
    EXPECT_TRUE(may_live(before, here_));
    ++before.start_ticks;
    EXPECT_FALSE(may_live(before, here_));
  }
}

TEST_F(DaemonRosterTest, TheNamespacesOfABackendAreOnDiskUntilItRegistersElsewhere) {
  auto run = start();
  RosterEntry entry = entry_of("a");
  entry.namespaces = {4711, 4712};
  core::Quiesces quiesced;
  core::Quiesce quiesce;
  quiesce.broadcast = 7;
  quiesced.reserve();
  quiesced.add(std::move(quiesce));
  bool durable = false;
  run->roster->note_registered(entry);
  run->roster->note_quiesced(entry.registration.key, quiesced, [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();
  run = start();
  entry.quiesced = quiesced;
  EXPECT_EQ(run->roster->load(here_), std::vector<RosterEntry>{entry});
  durable = false;
  const RosterEntry moved = entry_of("a");  // the same pid, of another namespace: another process
  run->roster->note_registered(moved, [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();
  EXPECT_EQ(start()->roster->load(here_), std::vector<RosterEntry>{moved});
}

TEST_F(DaemonRosterTest, WhatWasForgottenIsOnDiskWhenThatIsSaid) {
  auto run = start();
  for (int i = 0; i < 20; ++i) {
    bool written = false;
    run->roster->note_registered(entry_of("a"));
    run->roster->note_registered(entry_of("b"));
    run->roster->note_gone(entry_of("a").registration.key);
    run->roster->when_written([&] { written = true; });
    run->until(written);
    // As the next broker finds it after a crash.
    JournalFile file(dir_.path(), kRosterFileName);
    std::string there;
    for (const std::string& record : file.open().records) {
      const auto change = decode_roster_change(record);
      ASSERT_TRUE(change);
      const std::string service = change->entry.registration.key.service_name;
      if (change->kind == RosterChange::Kind::kGone && there == service) there.clear();
      if (change->kind == RosterChange::Kind::kRegistered && service == "a") there = service;
    }
    EXPECT_EQ(there, "");
  }
  bool written = false;
  run->roster->when_written([&] { written = true; });
  run->until(written);
}

}  // namespace
}  // namespace muster::daemon
