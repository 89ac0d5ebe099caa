// What a broker that starts knows of the one before: its backends, its operators' keys.
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/peer.h"
#include "unit/daemon_stores_fixture.h"

namespace muster::daemon {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kHourMs = 3'600'000;
constexpr std::size_t kNamespaceBytes = 16;  // of a record that has them

TEST_F(DaemonStoresTest, ARosterEntryIsReadAsItIsWritten) {
  RosterEntry entry = entry_of("zccache");
  entry.registration.key.instance = Instance::private_to("soldr");
  entry.registration.key.replica = "a~77";
  entry.registration.ack_timeout = milliseconds(1500);
  entry.registration.idle_timeout = milliseconds(2000);
  entry.registration.labels = {{"tier", "hot"}, {"zone", "b"}};
  entry.registration.sdk_name = "muster-cpp";
  entry.registration.sdk_version = "1.2.3";
  const std::string record = encode_roster_change({entry, RosterChange::Kind::kRegistered});
  const auto read = decode_roster_change(record);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->entry, entry);
  EXPECT_EQ(read->kind, RosterChange::Kind::kRegistered);
  const auto gone = decode_roster_change(encode_roster_change({entry, RosterChange::Kind::kGone}));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->kind, RosterChange::Kind::kGone);
  EXPECT_EQ(gone->entry.registration.key, entry.registration.key);
  EXPECT_FALSE(decode_roster_change(record + "x"));
  for (std::size_t cut = 0; cut < record.size(); ++cut) {
    if (cut == record.size() - kNamespaceBytes) continue;
    EXPECT_FALSE(decode_roster_change(record.substr(0, cut))) << cut;
  }
}

TEST_F(DaemonStoresTest, TheNextBrokerKnowsWhoWasRefusedAndWhy) {
  auto run = start();
  bool durable = false;
  RosterEntry over_quota = entry_of("a");
  over_quota.registration.key.replica = "~77";
  over_quota.refused = Cause::kRefusedQuota;
  RosterEntry key_taken = entry_of("b");
  key_taken.refused = Cause::kRefusedKey;
  RosterEntry registers = over_quota;
  registers.registration.key = test::key_of("c");
  run->roster->note_registered(over_quota);
  run->roster->note_registered(key_taken);
  run->roster->note_registered(registers);
  registers.refused = Cause::kNone;
  run->roster->note_registered(registers, [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();  // a crash
  run = start();
  EXPECT_EQ(run->roster->load(here_), (std::vector<RosterEntry>{over_quota, key_taken, registers}));
  EXPECT_EQ(run->roster->problem(), "");

  const std::string record = encode_roster_change({key_taken, RosterChange::Kind::kRegistered});
  for (std::size_t cut = 0; cut < record.size(); ++cut) {
    if (cut == record.size() - kNamespaceBytes) continue;
    EXPECT_FALSE(decode_roster_change(record.substr(0, cut))) << cut;
  }
  std::string unknown_reason = record;
  unknown_reason[8] = 3;  // after the kind
  EXPECT_FALSE(decode_roster_change(unknown_reason));
}

TEST_F(DaemonStoresTest, TheNextBrokerExpectsWhoIsRegisteredInTheirOrder) {
  auto run = start();
  bool durable = false;
  run->roster->note_registered(entry_of("a"));
  run->roster->note_registered(entry_of("b"));
  run->roster->note_registered(entry_of("c"));
  run->roster->note_gone(test::key_of("b"));
  run->roster->note_gone(test::key_of("unknown"));
  run->roster->note_registered(entry_of("a"), [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();  // a crash
  run = start();
  const auto expected = run->roster->load(here_);
  EXPECT_EQ(services(expected), "a c ");
  EXPECT_EQ(expected.front(), entry_of("a"));
  EXPECT_EQ(run->roster->problem(), "");
  EXPECT_EQ(logged(), "");
}

core::Quiesce quiesce_of(BroadcastId broadcast) {
  core::Quiesce quiesce;
  quiesce.broadcast = broadcast;
  quiesce.since_unix_ms = kStoresNow + broadcast;
  quiesce.by = std::make_shared<const Operator>(Operator{1000, 77, "musterctl quiesce"});
  return quiesce;
}

// As the next broker reads it of the one service.
std::string quiesces_text(const RosterStore& roster, const core::Quiesces& quiesced) {
  if (quiesced.empty()) return roster.problem();
  std::string text;
  for (const core::Quiesce& one : quiesced.older()) text += std::to_string(one.broadcast) + ' ';
  text += std::to_string(quiesced.newest().broadcast);
  if (quiesced.ended()) text += " ended";
  return text + roster.problem();
}

TEST_F(DaemonStoresTest, ARecordOfQuiescesIsReadAsItIsWritten) {
  RosterEntry entry = entry_of("a");
  entry.quiesced.reserve();
  entry.quiesced.add(quiesce_of(7));
  core::Quiesce by_the_broker = quiesce_of(9);
  by_the_broker.by = nullptr;
  by_the_broker.stands_for_more = true;
  entry.quiesced.add(by_the_broker);
  const std::string record = encode_roster_change({entry, RosterChange::Kind::kQuiesced});
  const auto read = decode_roster_change(record);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, RosterChange::Kind::kQuiesced);
  EXPECT_EQ(read->entry.registration.key, entry.registration.key);
  EXPECT_EQ(read->entry.quiesced, entry.quiesced);
  EXPECT_FALSE(decode_roster_change(record + "x"));
  for (std::size_t cut = 0; cut < record.size(); ++cut) {
    EXPECT_FALSE(decode_roster_change(record.substr(0, cut))) << cut;
  }
}

TEST_F(DaemonStoresTest, TheNextBrokerKnowsWhoIsQuiesced) {
  struct Step {
    const char* what;
    core::Quiesces quiesced;
    const char* read;
  };
  core::Quiesces one;
  one.reserve();
  one.add(quiesce_of(7));
  core::Quiesces two = one;
  two.add(quiesce_of(9));
  core::Quiesces ended = two;
  ended.end_while_away();
  const std::vector<Step> steps{{"one quiesce", one, "7"},
                                {"a second one", two, "7 9"},
                                {"both ended while it was away", ended, "9 ended"},
                                {"it was told", {}, ""},
                                {"quiesced anew", one, "7"}};
  auto run = start();
  for (const Step& step : steps) {
    RosterEntry entry = entry_of("a");
    entry.quiesced = step.quiesced;
    bool durable = false;
    run->roster->note_registered(entry, [&](bool is) { durable = is; });
    run->until(durable);
    run.reset();  // a crash
    run = start();
    const auto expected = run->roster->load(here_);
    ASSERT_EQ(expected.size(), 1U) << step.what;
    EXPECT_EQ(quiesces_text(*run->roster, expected.front().quiesced), step.read) << step.what;
    EXPECT_EQ(expected.front(), entry) << step.what;
  }
}

TEST_F(DaemonStoresTest, AnotherProcessOfTheKeyIsNotQuiesced) {
  auto run = start();
  RosterEntry entry = entry_of("a");
  entry.quiesced.reserve();
  entry.quiesced.add(quiesce_of(7));
  run->roster->note_registered(entry);
  RosterEntry next = entry_of("a");
  next.pid = ::getppid();
  next.start_ticks = 0;
  bool durable = false;
  run->roster->note_registered(next, [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();
  run = start();
  const auto expected = run->roster->load(here_);
  ASSERT_EQ(expected.size(), 1U);
  EXPECT_EQ(expected.front(), next);
}

// As the broker wrote it that did not keep quiesces: entries and the keys of those that went.
TEST_F(DaemonStoresTest, ARosterFromBeforeQuiescesWereKeptIsRead) {
  {
    JournalFile file(dir_.path(), kRosterFileName, JournalFile::Appended::kInKernel);
    (void)file.open();
    std::string framed;
    for (const char* service : {"a", "b"}) {
      framed +=
          frame_record(encode_roster_change({entry_of(service), RosterChange::Kind::kRegistered}));
    }
    framed += frame_record(encode_roster_change({entry_of("b"), RosterChange::Kind::kGone}));
    ASSERT_EQ(file.replace(framed), "");
  }
  auto run = start();
  const auto expected = run->roster->load(here_);
  ASSERT_EQ(services(expected), "a ");
  EXPECT_EQ(quiesces_text(*run->roster, expected.front().quiesced), "");
  EXPECT_EQ(expected.front(), entry_of("a"));
}

TEST_F(DaemonStoresTest, ABurstOfRegistrationsIsAllThereAfterAnEnd) {
  auto run = start();
  for (int i = 0; i < 10'000; ++i) run->roster->note_registered(entry_of("s" + std::to_string(i)));
  run->roster->close();
  EXPECT_TRUE(run->worker.close(std::chrono::hours(1)));
  run.reset();
  EXPECT_EQ(start()->roster->load(here_).size(), 10'000U);
}

TEST_F(DaemonStoresTest, OnlyWhoseProcessIsGoneForCertainIsForgotten) {
  const RosterEntry here = entry_of("here");
  EXPECT_TRUE(may_live(here, here_));
  EXPECT_FALSE(may_live(here, {"another-boot", here_.namespaces}));
  RosterEntry later = here;
  ++later.start_ticks;
  EXPECT_FALSE(may_live(later, here_)) << "a later process of the same pid";
  RosterEntry unknown = here;
  unknown.start_ticks = 0;
  EXPECT_TRUE(may_live(unknown, here_)) << "nothing says that it is another";
  RosterEntry unseen = here;
  unseen.pid = 0;
  EXPECT_TRUE(may_live(unseen, here_)) << "of a pid namespace that cannot be seen";

  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  RosterEntry other = describe_process(child);
  EXPECT_NE(other.start_ticks, 0U);
  EXPECT_TRUE(may_live(other, here_));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(may_live(other, here_));

  auto run = start();
  other.registration.key = test::key_of("dead");
  bool durable = false;
  run->roster->note_registered(other);
  run->roster->note_registered(here, [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();
  EXPECT_EQ(services(start()->roster->load(here_)), "here ");
}

TEST_F(DaemonStoresTest, AKeyIsReadAsItIsWritten) {
  const KeyEntry entry{1000, std::string("k\0ey", 4), 1'800'000'017, "release /cache", kStoresNow};
  const std::string record = encode_key_entry(entry);
  EXPECT_EQ(decode_key_entry(record), entry);
  for (std::size_t cut = 0; cut < record.size(); ++cut) {
    EXPECT_FALSE(decode_key_entry(record.substr(0, cut))) << cut;
  }
}

TEST_F(DaemonStoresTest, AKeyBelongsToItsUserAndSurvivesTheBrokerForAnHour) {
  auto run = start();
  bool durable = false;
  run->keys->note_started({1, "nightly", 10, "a", kStoresNow});
  run->keys->note_started({2, "nightly", 11, "b", kStoresNow + 1});
  run->keys->note_started({1, "late", 12, "c", kStoresNow + kHourMs},
                          [&](bool is) { durable = is; });
  run->until(durable);
  run.reset();  // a crash
  run = start(kStoresNow + kHourMs);
  ASSERT_NE(run->keys->find(1, "nightly"), nullptr);
  EXPECT_EQ(run->keys->find(1, "nightly")->id, 10U);
  EXPECT_EQ(run->keys->find(2, "nightly")->id, 11U);
  EXPECT_EQ(run->keys->find(3, "nightly"), nullptr);
  run.reset();
  run = start(kStoresNow + kHourMs + 1);
  EXPECT_EQ(run->keys->find(1, "nightly"), nullptr) << "an hour is over";
  EXPECT_NE(run->keys->find(2, "nightly"), nullptr);
  EXPECT_EQ(run->keys->load().size(), 2U);
}

TEST_F(DaemonStoresTest, OneUsersKeysDoNotPushOutAnothers) {
  const auto run = start();
  run->keys->note_started({7, "mine", 1, "", kStoresNow});
  for (std::size_t i = 0; i <= KeyStore::kMostOfOneUser; ++i) {
    run->keys->note_started({8, std::to_string(i), 2 + i, "", kStoresNow});
  }
  EXPECT_NE(run->keys->find(7, "mine"), nullptr);
  EXPECT_EQ(run->keys->find(8, "0"), nullptr);
  EXPECT_NE(run->keys->find(8, "1"), nullptr);
  EXPECT_EQ(run->keys->load().size(), KeyStore::kMostOfOneUser + 1);
}

// A crash between the record and the broadcast: nobody knows whether it was sent.
TEST_F(DaemonStoresTest, AKeyIsOnDiskBeforeItsBroadcastHasAnId) {
  auto run = start();
  bool durable = false;
  run->keys->intend({1000, "nightly", 0, "release /cache", kStoresNow},
                    [&](bool is) { durable = is; });
  EXPECT_FALSE(durable) << "not before the disk has it";
  run->until(durable);
  run.reset();  // a crash
  run = start();
  ASSERT_EQ(run->keys->load().size(), 1U);
  const KeyEntry about_to = run->keys->load().front();
  EXPECT_EQ(about_to.key, "nightly");
  EXPECT_EQ(about_to.id, 0U);
  EXPECT_EQ(about_to.request, "release /cache");
  // It is not this broker's to take back.
  run->keys->withdraw(1000, "nightly");
  ASSERT_NE(run->keys->find(1000, "nightly"), nullptr);
}

TEST_F(DaemonStoresTest, AnIntendedKeyIsWithdrawnOnlyIfNothingWasSent) {
  auto run = start();
  bool durable = false;
  const auto done = [&](bool is) { durable = is; };
  run->keys->intend({1000, "refused", 0, "release /a", kStoresNow}, done);
  run->keys->intend({1000, "sent", 0, "release /b", kStoresNow}, done);
  run->keys->intend({1000, "began", 0, "release /c", kStoresNow}, done);
  run->keys->begin(1000, "sent");
  run->keys->note_started({1000, "sent", 17, "release /b", kStoresNow});
  run->keys->begin(1000, "began");
  run->keys->withdraw(1001, "refused");
  EXPECT_NE(run->keys->find(1000, "refused"), nullptr) << "another user's";
  for (const char* key : {"refused", "sent", "began", "unknown"}) run->keys->withdraw(1000, key);
  EXPECT_EQ(run->keys->find(1000, "refused"), nullptr);
  durable = false;
  // What is there is not changed; it is on disk once more when that is told.
  run->keys->intend({1000, "sent", 0, "release /other", kStoresNow}, done);
  run->until(durable);
  run.reset();
  run = start();
  EXPECT_EQ(run->keys->find(1000, "refused"), nullptr);
  ASSERT_NE(run->keys->find(1000, "sent"), nullptr);
  EXPECT_EQ(run->keys->find(1000, "sent")->id, 17U);
  EXPECT_EQ(run->keys->find(1000, "sent")->request, "release /b");
  ASSERT_NE(run->keys->find(1000, "began"), nullptr);
}

TEST_F(DaemonStoresTest, AnIntendedKeyNeverPushesOutAnother) {
  auto run = start();
  for (std::size_t i = 0; i < KeyStore::kMostOfOneUser; ++i) {
    run->keys->note_started({1000, std::to_string(i), i + 1, "release /cache", kStoresNow});
  }
  std::optional<bool> durable;
  run->keys->intend({1000, "one more", 0, "release /cache", kStoresNow},
                    [&](bool is) { durable = is; });
  EXPECT_EQ(durable, false);
  EXPECT_NE(run->keys->find(1000, "0"), nullptr);
  EXPECT_EQ(run->keys->find(1000, "one more"), nullptr);
}

}  // namespace
}  // namespace muster::daemon
