// What a HistoryStore drops, in small steps: what is too old, and what is too much. Of what is too
// much a user loses its own oldest, so that nobody pushes out what another has asked for.
#include <algorithm>

#include "core/quota.h"
#include "musterd/history/history_file.h"

namespace muster::daemon {
namespace {

constexpr std::size_t kRowsOfAStep = 32;
constexpr std::uint64_t kMostRefusals = 10'000;
constexpr std::uint64_t kLeastRefusals = 256;
// Free pages that stay in the file for what comes.
constexpr std::int64_t kSpareBytes = 1 << 20;

std::vector<std::int64_t> ids_of(SqlStatement statement) {
  std::vector<std::int64_t> ids;
  while (statement.step()) ids.push_back(statement.number_at(0));
  return ids;
}

}  // namespace

void HistoryStore::read_shares() {
  shares_.clear();
  SqlStatement sums = file_->database.prepare(
      "SELECT account, sum(bytes), count(*) FROM broadcasts GROUP BY account");
  while (sums.step()) {
    shares_[sums.number_at(0)] = {static_cast<std::uint64_t>(sums.number_at(1)),
                                  static_cast<std::uint64_t>(sums.number_at(2))};
  }
}

bool HistoryStore::prune() {
  return with_file([&] {
    try {
      return prune_step();
    } catch (...) {
      close();  // what was counted is not true
      throw;
    }
  });
}

bool HistoryStore::prune_step() {
  SqlTransaction all(file_->database);
  std::size_t dropped = drop_too_old() + drop_refusals();
  const auto own = shares_.find(kOwnQuiesces);
  if (own != shares_.end() &&
      (own->second.rows > kMostOwn || own->second.bytes > settings_.keep_bytes / 16)) {
    dropped += drop_oldest_of(kOwnQuiesces);
  }
  if (used_bytes() > settings_.keep_bytes) {
    if (const auto account = who_loses()) dropped += drop_oldest_of(*account);
  }
  all.commit();
  give_back_pages();
  return dropped != 0;
}

std::uint64_t HistoryStore::used_bytes() {
  const auto pages = file_->database.number_of("PRAGMA page_count") -
                     file_->database.number_of("PRAGMA freelist_count");
  return static_cast<std::uint64_t>(pages * file_->database.number_of("PRAGMA page_size"));
}

// Root, the broker's own user and the broker itself keep a quarter.
std::optional<HistoryStore::Account> HistoryStore::who_loses() const {
  const auto is_reserved = [](Account account) {
    return account < 0 || core::is_privileged(static_cast<uid_t>(account));
  };
  std::uint64_t reserved_bytes = 0;
  for (const auto& [account, share] : shares_) {
    if (is_reserved(account)) reserved_bytes += share.bytes;
  }
  const bool all_may_lose = reserved_bytes > settings_.keep_bytes / 4;
  std::optional<Account> most;
  std::optional<Account> most_of_reserved;
  for (const auto& [account, share] : shares_) {
    auto& one = is_reserved(account) && !all_may_lose ? most_of_reserved : most;
    if (!one || share.bytes > shares_.at(*one).bytes) one = account;
  }
  return most ? most : most_of_reserved;
}

std::size_t HistoryStore::drop_oldest_of(Account account) {
  SqlStatement oldest =
      file_->database.prepare("SELECT id FROM broadcasts WHERE account = ? ORDER BY id LIMIT ?");
  oldest.number(account).number(static_cast<std::int64_t>(kRowsOfAStep));
  std::size_t dropped = 0;
  for (const std::int64_t id : ids_of(std::move(oldest))) {
    forget(static_cast<BroadcastId>(id));
    ++dropped;
    if (account != kOwnQuiesces && used_bytes() <= settings_.keep_bytes) break;
  }
  return dropped;
}

std::size_t HistoryStore::drop_too_old() {
  const auto age = static_cast<std::uint64_t>(settings_.keep_age.count());
  const std::uint64_t now = now_();
  const auto before = static_cast<std::int64_t>(now - std::min(now, age));
  const auto limit = static_cast<std::int64_t>(kRowsOfAStep);
  SqlStatement old = file_->database.prepare(
      "SELECT id FROM broadcasts WHERE started_unix_ms < ? ORDER BY started_unix_ms LIMIT ?");
  old.number(before).number(limit);
  const auto ids = ids_of(std::move(old));
  for (const std::int64_t id : ids) forget(static_cast<BroadcastId>(id));
  SqlStatement refusals = file_->database.prepare(
      "DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE last_unix_ms < ?"
      " ORDER BY id LIMIT ?)");
  refusals.number(before).number(limit).run();
  return ids.size() + static_cast<std::size_t>(file_->database.changes());
}

// Too many: of the user who has the most. A user has a quarter at most while others have some, too.
std::size_t HistoryStore::drop_refusals() {
  const std::uint64_t most =
      std::clamp<std::uint64_t>(settings_.keep_bytes / 16 / 1024, kLeastRefusals, kMostRefusals);
  const auto count = file_->database.number_of("SELECT count(*) FROM refusals");
  if (static_cast<std::uint64_t>(count) <= most) return 0;
  SqlStatement oldest = file_->database.prepare(
      "DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE uid ="
      " (SELECT uid FROM refusals GROUP BY uid ORDER BY count(*) DESC LIMIT 1)"
      " ORDER BY id LIMIT ?)");
  oldest.number(static_cast<std::int64_t>(kRowsOfAStep)).run();
  return static_cast<std::size_t>(file_->database.changes());
}

void HistoryStore::give_back_pages() {
  SqlDatabase& database = file_->database;
  const auto page = std::max<std::int64_t>(1, database.number_of("PRAGMA page_size"));
  if (database.number_of("PRAGMA freelist_count") <= kSpareBytes / page) return;
  database.run("PRAGMA incremental_vacuum(64)");
}

}  // namespace muster::daemon
