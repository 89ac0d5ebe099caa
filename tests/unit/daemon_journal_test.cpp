// The journal: what was said to be durable is there after any crash, and nothing else is.
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "musterd/state/journal.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using Records = std::vector<std::string>;

class DaemonJournalFileTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(std::string_view text) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << text;
  }
  // What a broker that starts finds.
  [[nodiscard]] JournalContent reopened() const { return JournalFile(dir_.path(), "j").open(); }

  test::TempDir dir_;
  std::filesystem::path path_ = dir_ / "j";
};

TEST_F(DaemonJournalFileTest, WhatWasAppendedIsReadInOrder) {
  JournalFile file(dir_.path(), "j");
  EXPECT_EQ(file.open().records, Records{});
  EXPECT_EQ(file.replace({}), "");
  EXPECT_EQ(file.append(frame_record("one") + frame_record("")), "");
  EXPECT_EQ(file.append(frame_record(std::string(kMaxRecordBytes, 'x'))), "");
  EXPECT_EQ(file.size(), std::filesystem::file_size(path_));
  const auto found = reopened();
  EXPECT_EQ(found.records, (Records{"one", "", std::string(kMaxRecordBytes, 'x')}));
  EXPECT_EQ(found.cut_bytes, 0U);
  EXPECT_EQ(found.problem, "");
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(DaemonJournalFileTest, ACrashAtEveryByteLeavesTheWholeRecordsAndWhatComesAfterIsRead) {
  JournalFile file(dir_.path(), "j");
  ASSERT_EQ(file.replace({}), "");
  const std::vector<std::string> payloads{"first", std::string(40, '\0'), "third"};
  std::vector<std::size_t> ends{file.size()};
  for (const auto& payload : payloads) {
    ASSERT_EQ(file.append(frame_record(payload)), "");
    ends.push_back(file.size());
  }
  const std::string all = bytes();
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    put(all.substr(0, cut));
    Records whole;
    std::size_t end = 0;
    for (std::size_t i = 0; i < ends.size() && ends[i] <= cut; ++i) {
      end = ends[i];
      if (i > 0) whole.push_back(payloads[i - 1]);
    }
    JournalFile after(dir_.path(), "j");
    const auto found = after.open();
    // A file is put in place with its head: one without was cut by somebody else.
    ASSERT_EQ(found.problem, end == 0 ? "is cut off" : "") << cut;
    ASSERT_EQ(found.records, whole) << cut;
    ASSERT_EQ(found.cut_bytes, end == 0 ? 0 : cut - end) << cut;
    // Where not even the head is whole, the file is written anew.
    if (end == 0) {
      ASSERT_EQ(after.replace({}), "");
    }
    ASSERT_EQ(after.append(frame_record("later")), "") << cut;
    whole.emplace_back("later");
    ASSERT_EQ(reopened().records, whole) << cut;
  }
}

// No crash leaves a whole record that is wrong, nor one behind it.
TEST_F(DaemonJournalFileTest, AChangedByteIsToldAndWhatIsWholeBehindItIsRead) {
  JournalFile file(dir_.path(), "j");
  ASSERT_EQ(file.replace(frame_record("first") + frame_record("second")), "");
  const std::string all = bytes();
  const std::size_t head =
      all.size() - frame_record("first").size() - frame_record("second").size();
  const std::size_t second = all.size() - frame_record("second").size();
  for (std::size_t at = 0; at < all.size(); ++at) {
    std::string changed = all;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    put(changed);
    const auto found = reopened();
    if (at < head) {
      EXPECT_EQ(found.problem, "is damaged, or of another version") << at;
    } else {
      EXPECT_EQ(found.records, at < second ? Records{"second"} : Records{"first"}) << at;
      // A length that is too large now looks like a record that was not written to its end.
      const bool looks_cut = at == second || at == second + 1;
      if (looks_cut && found.problem.empty()) {
        EXPECT_GT(found.cut_bytes, 0U) << at;
      } else {
        const std::size_t damaged = at < second ? head : second;
        EXPECT_EQ(found.problem, "is damaged at byte " + std::to_string(damaged)) << at;
      }
    }
  }
}

TEST_F(DaemonJournalFileTest, KnowsWhetherItStillHasItsName) {
  JournalFile file(dir_.path(), "j");
  ASSERT_EQ(file.replace(frame_record("first")), "");
  EXPECT_TRUE(file.is_in_place());
  std::filesystem::rename(path_, dir_ / "elsewhere");
  EXPECT_FALSE(file.is_in_place());
  std::ofstream(path_) << "another";
  EXPECT_FALSE(file.is_in_place());
  ASSERT_EQ(file.replace(frame_record("again")), "");
  EXPECT_TRUE(file.is_in_place());
  EXPECT_EQ(reopened().records, Records{"again"});
  std::filesystem::remove_all(dir_.path());
  EXPECT_FALSE(file.is_in_place());
  ASSERT_EQ(file.replace(frame_record("anew")), "") << "with its directory";
  EXPECT_EQ(reopened().records, Records{"anew"});
}

TEST_F(DaemonJournalFileTest, WhatIsNoFileIsAProblemAndHoldsUpNobody) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(reopened().problem, "is not a file");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(reopened().problem, "cannot be read: Is a directory");
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("/dev/zero", path_);
  EXPECT_EQ(reopened().problem, "cannot be read: Too many levels of symbolic links");
}

// A file that may not grow fails as a full disk does.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;
  ~SmallFiles() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

class DaemonJournalTest : public DaemonJournalFileTest {
 protected:
  DaemonJournalTest() { std::signal(SIGXFSZ, SIG_IGN); }

  std::unique_ptr<Journal> open() {
    JournalFile file(dir_.path(), "j");
    const bool anew = file.open().records.empty();
    return std::make_unique<Journal>(
        loop_.get_executor(), worker_, std::move(file),
        Journal::Owner{[this] { return state_; },
                       [this](const std::string& problem) { health_.push_back(problem); }},
        anew);
  }
  void note(Journal& journal, const std::string& record) {
    state_.push_back(record);
    journal.append(record, [this, record](bool durable) {
      told_ += record + (durable ? " durable;" : " not durable;");
    });
  }
  void until(const std::function<bool()>& holds) {
    while (!holds()) ASSERT_EQ(loop_.run_one_for(std::chrono::hours(1)), 1U);
  }

  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> busy_{loop_.get_executor()};
  Worker worker_{loop_.get_executor()};
  Records state_;
  Records health_;
  std::string told_;
};

TEST_F(DaemonJournalTest, ARecordIsSaidToBeDurableWhenItIsOnDisk) {
  const auto journal = open();
  note(*journal, "a");
  EXPECT_EQ(told_, "");
  until([&] { return told_ == "a durable;"; });
  EXPECT_EQ(reopened().records, Records{"a"});
  note(*journal, "b");
  note(*journal, "c");
  until([&] { return told_ == "a durable;b durable;c durable;"; });
  EXPECT_EQ(reopened().records, (Records{"a", "b", "c"}));
}

// It would be taken for damage, and with it what stands behind it.
TEST_F(DaemonJournalTest, ARecordThatIsTooLongIsNeverWritten) {
  const auto journal = open();
  note(*journal, "a");
  bool durable = true;
  journal->append(std::string(kMaxRecordBytes + 1, 'x'), [&](bool is) { durable = is; });
  EXPECT_FALSE(durable);
  note(*journal, "b");
  until([&] { return told_ == "a durable;b durable;"; });
  EXPECT_EQ(journal->problem(), "");
  EXPECT_EQ(reopened().records, (Records{"a", "b"}));
  EXPECT_EQ(reopened().problem, "");
}

TEST_F(DaemonJournalTest, ADiskThatFailsIsToldOnceAndNothingIsMissingWhenItWorksAgain) {
  const auto journal = open();
  note(*journal, "before");
  until([&] { return !told_.empty(); });
  {
    const SmallFiles limit(20);
    note(*journal, "while it fails");
    until([&] { return told_.ends_with("while it fails not durable;"); });
    note(*journal, "and again");
    until([&] { return told_.ends_with("and again not durable;"); });
    EXPECT_EQ(journal->problem(), "cannot be written: File too large");
    EXPECT_EQ(reopened().records, Records{"before"}) << "and nothing torn";
  }
  until([&] { return journal->problem().empty(); });
  EXPECT_EQ(reopened().records, state_);
  EXPECT_EQ(health_, (Records{"cannot be written: File too large", ""}));
}

TEST_F(DaemonJournalTest, ItIsWrittenAnewWhenItHasGrownFarBeyondWhatItStandsFor) {
  const auto journal = open();
  const std::string large(8 * 1024, 'l');
  for (int i = 0; i < 100; ++i) {
    state_ = {large, std::to_string(i)};
    bool durable = false;
    journal->append(large, [&](bool is) { durable = is; });
    until([&] { return durable; });
    ASSERT_LE(std::filesystem::file_size(path_), 3 * Journal::kSlack) << i;
  }
  journal->close();
  EXPECT_TRUE(worker_.close(std::chrono::hours(1)));
  EXPECT_EQ(reopened().records, (Records{large, "99"}));
}

TEST_F(DaemonJournalTest, ABurstIsFewWritesAndTheEndWaitsForIt) {
  const auto journal = open();
  for (int i = 0; i < 10'000; ++i) note(*journal, std::to_string(i));
  journal->close();
  EXPECT_TRUE(worker_.close(std::chrono::hours(1)));
  EXPECT_LE(loop_.poll(), 3U) << "one of them for each write";
  EXPECT_EQ(reopened().records, state_);
}

}  // namespace
}  // namespace muster::daemon
