// The history on disk: broadcasts with their reports, and refusals, in one SQLite database in the
// state directory.
//
// It is written in WAL mode with synchronous=NORMAL: a broker that is killed loses nothing that
// was written, a host that loses power the last moments, and neither damages the file. The file is
// locked while it is open, and has mode 0600. With the lock SQLite needs no shared-memory file,
// which another process could truncate.
//
// Blocking; one thread at a time. Whatever fails throws SqlError; the file is opened again with the
// next call then.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "muster/history.h"

#include "musterd/config/settings.h"
#include "musterd/history/local_users.h"

namespace muster::daemon {

inline constexpr const char* kHistoryFileName = "history.db";
// Where a file goes that is damaged. The one before it goes for good.
inline constexpr const char* kDamagedHistoryName = "history.db.damaged";

// For the log.
struct HistoryNote {
  LogLevel level = LogLevel::kInfo;
  std::string text;
  std::string why;  // may be empty

  friend bool operator==(const HistoryNote&, const HistoryNote&) = default;
};

// What is to be written.
struct HistoryRecord {
  BroadcastId id = 0;
  // The payload of an answer that has the report: see wire::report_in().
  std::shared_ptr<const std::string> payload;
  // Of a report without its backends, of a broadcast that has begun: how many there are.
  std::uint32_t targets = 0;
  std::uint32_t skipped_dead = 0;
};
struct HistoryBatch {
  std::vector<HistoryRecord> records;
  // Of holds whose broadcasts are known to the history alone: see wire::report_with_hold().
  std::vector<std::pair<BroadcastId, HoldState>> holds;
  std::vector<HistoryRefusal> refusals;
  std::vector<BroadcastId> dropped;  // what is written of them is not true any more
};

class HistoryStore {
 public:
  using UnixMs = std::function<std::uint64_t()>;

  // Of quiesces of idle backends, which never push out anything else.
  static constexpr std::uint64_t kMostOwn = 1000;

  // `first_id`: of this broker. Broadcasts before it that have not ended never will.
  HistoryStore(std::filesystem::path directory, HistorySettings settings, BroadcastId first_id,
               UnixMs now);
  ~HistoryStore();
  HistoryStore(const HistoryStore&) = delete;
  HistoryStore& operator=(const HistoryStore&) = delete;

  // The holds of the previous broker that still go on. Any other one that has no end in the file is
  // ended there, unseen. Before the file is opened.
  void holds_go_on(std::set<BroadcastId> ids) { old_holds_ = std::move(ids); }
  // Opens the file if it is not open. One that was deleted or replaced is begun anew.
  void look_after();
  // All of it or nothing.
  void write(const HistoryBatch& batch);
  // One step of dropping what is too old or too much. Whether there is more to do.
  [[nodiscard]] bool prune();
  [[nodiscard]] HistoryPage find(const HistoryQuery& query);
  // The bytes of the report; nothing when it is not here.
  [[nodiscard]] std::optional<std::string> report(BroadcastId id);
  // What happened to the file since the last call.
  [[nodiscard]] std::vector<HistoryNote> take_notes() { return std::exchange(notes_, {}); }

 private:
  struct File;  // history_file.h
  // Whose share of the file an entry counts against: a user, or one of these.
  using Account = std::int64_t;
  static constexpr Account kOwnQuiesces = -1;  // of idle backends
  static constexpr Account kBroker = -2;       // the broker's other ones
  struct Share {
    std::uint64_t bytes = 0;
    std::uint64_t rows = 0;
  };

  // What `work` does with the open file; once more with a new one where this one is damaged.
  template <class Work>
  auto with_file(Work&& work);
  void open();
  void open_file();
  // Throws where another broker may have the directory by now.
  void be_in_place();
  // Throws where the file system is all but full.
  void leave_room() const;
  void close() noexcept;
  [[nodiscard]] bool is_in_place() const;
  void set_aside_damaged(const std::string& why);
  void insert(const HistoryRecord& record);
  void insert(const HistoryRefusal& refusal);
  void change_hold(BroadcastId id, const HoldState& change);
  void end_holds_that_are_over();
  [[nodiscard]] std::optional<std::string> read_report(BroadcastId id);
  void forget(BroadcastId id);
  // --- history_retention.cpp
  void read_shares();
  [[nodiscard]] bool prune_step();
  [[nodiscard]] std::optional<Account> who_loses() const;
  [[nodiscard]] std::uint64_t used_bytes();
  std::size_t drop_oldest_of(Account account);
  std::size_t drop_too_old();
  std::size_t drop_refusals();
  void give_back_pages();

  const std::filesystem::path directory_;
  struct stat place_ {};  // of the directory
  const std::filesystem::path path_;
  const HistorySettings settings_;
  const BroadcastId first_id_;
  const UnixMs now_;
  LocalUsers users_;
  std::optional<std::set<BroadcastId>> old_holds_;
  std::unique_ptr<File> file_;
  std::map<Account, Share> shares_;
  std::vector<HistoryNote> notes_;
};

}  // namespace muster::daemon
