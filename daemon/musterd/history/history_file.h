// The open file of a HistoryStore, with the statements that are used again and again.
#pragma once

#include <sys/stat.h>

#include "musterd/history/history_store.h"
#include "musterd/history/sqlite.h"

namespace muster::daemon {

struct HistoryStore::File {
  explicit File(const std::filesystem::path& path) : database(path) {}

  // REQUIRES: the tables are there.
  void prepare() {
    const auto make = [this](std::string_view sql) {
      return std::make_unique<SqlStatement>(database.prepare(sql));
    };
    put_broadcast = make(
        "INSERT OR REPLACE INTO broadcasts (id, account, bytes, uid, user, pid, command,"
        " operation, path, operation_key, started_unix_ms, duration_us, state, interrupted,"
        " failed, targets, acks, timeouts, failures, skipped_dead, late_answers,"
        " backends_unknown, verify, verdict, hold, hold_ended, violations) VALUES"
        " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    put_report = make("INSERT OR REPLACE INTO reports (id, report) VALUES (?,?)");
    put_service = make("INSERT OR IGNORE INTO services (service, id) VALUES (?,?)");
    find_share = make("SELECT account, bytes FROM broadcasts WHERE id = ?");
    drop_broadcast = make("DELETE FROM broadcasts WHERE id = ?");
    drop_report = make("DELETE FROM reports WHERE id = ?");
    drop_services = make("DELETE FROM services WHERE id = ?");
    find_refusal = make(
        "SELECT id FROM refusals WHERE uid = ? AND pid = ? AND key = ? AND why = ? AND"
        " last_unix_ms >= ? ORDER BY id DESC LIMIT 1");
    count_refusal = make("UPDATE refusals SET times = times + ?, last_unix_ms = ? WHERE id = ?");
    put_refusal = make(
        "INSERT INTO refusals (first_unix_ms, last_unix_ms, times, uid, user, pid, command, key,"
        " why) VALUES (?,?,?,?,?,?,?,?,?)");
  }

  SqlDatabase database;  // first: it outlives the statements
  struct stat place {};  // of the file when it was opened
  using Statement = std::unique_ptr<SqlStatement>;
  Statement put_broadcast, put_report, put_service, find_share;
  Statement drop_broadcast, drop_report, drop_services;
  Statement find_refusal, count_refusal, put_refusal;
};

// Runs `work` with the file open. Any failure closes the file. A damaged file is set aside, and the
// work runs once more with a new one.
template <class Work>
auto HistoryStore::with_file(Work&& work) {
  for (bool is_again = false;; is_again = true) {
    try {
      if (file_ == nullptr) open();
      return work();
    } catch (const SqlError& error) {
      close();
      if (!error.means_damage() || is_again) throw;
      set_aside_damaged(error.what());
    }
  }
}

}  // namespace muster::daemon
