// The tables of the history. A change of them is a new version, with what makes the old one new.
#pragma once

namespace muster::daemon {

inline constexpr int kHistoryApplication = 0x4D757374;  // "Must": in the file's header
inline constexpr int kHistoryVersion = 1;

// Before anything is read or written. The first one keeps SQLite from making shared memory.
inline constexpr char kHistorySettings[] =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA auto_vacuum = INCREMENTAL;"  // of a new file
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "PRAGMA journal_size_limit = 4194304;"
    "PRAGMA cache_size = -1024;"
    "PRAGMA mmap_size = 0;"
    "PRAGMA trusted_schema = OFF;";

inline constexpr char kHistorySchema[] =
    "CREATE TABLE broadcasts ("
    "  id INTEGER PRIMARY KEY,"
    "  account INTEGER NOT NULL,"  // HistoryStore::Account
    "  bytes INTEGER NOT NULL,"    // what it takes, about
    "  uid INTEGER,"               // who asked; NULL: the broker itself
    "  user TEXT NOT NULL,"
    "  pid INTEGER,"
    "  command TEXT NOT NULL,"
    "  operation TEXT NOT NULL,"
    "  path BLOB NOT NULL,"
    "  operation_key TEXT NOT NULL,"
    "  started_unix_ms INTEGER NOT NULL,"
    "  duration_us INTEGER NOT NULL,"
    "  state TEXT NOT NULL,"  // to_string(BroadcastState)
    "  interrupted INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL,"
    "  targets INTEGER NOT NULL,"
    "  acks INTEGER NOT NULL,"
    "  timeouts INTEGER NOT NULL,"
    "  failures INTEGER NOT NULL,"
    "  skipped_dead INTEGER NOT NULL,"
    "  late_answers INTEGER NOT NULL,"
    "  backends_unknown INTEGER NOT NULL,"
    "  verify INTEGER NOT NULL,"
    "  verdict TEXT,"  // to_string(HolderVerdict)
    "  hold INTEGER NOT NULL,"
    "  hold_ended TEXT,"  // to_string(HoldEnd)
    "  violations INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX broadcasts_by_account ON broadcasts (account, id);"
    "CREATE INDEX broadcasts_by_start ON broadcasts (started_unix_ms);"
    "CREATE TABLE reports ("
    "  id INTEGER PRIMARY KEY,"
    "  report BLOB NOT NULL"  // a muster.v1.BroadcastReport
    ") STRICT;"
    "CREATE TABLE services ("
    "  service TEXT NOT NULL,"
    "  id INTEGER NOT NULL,"
    "  PRIMARY KEY (service, id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX services_by_id ON services (id);"
    "CREATE TABLE refusals ("
    "  id INTEGER PRIMARY KEY,"
    "  first_unix_ms INTEGER NOT NULL,"
    "  last_unix_ms INTEGER NOT NULL,"
    "  times INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  user TEXT NOT NULL,"
    "  pid INTEGER NOT NULL,"
    "  command TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  why TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX refusals_by_user ON refusals (uid, id);"
    "CREATE INDEX refusals_by_process ON refusals (uid, pid);";

}  // namespace muster::daemon
