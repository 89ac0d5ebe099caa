#include "musterd/history/history_store.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "musterd/history/history_file.h"
#include "musterd/history/history_schema.h"
#include "musterd/state/broadcast_ids.h"
#include "os/error_text.h"
#include "os/unique_fd.h"
#include "wire/history.h"

namespace muster::daemon {
namespace {

// Of a row without its report, about: with its indexes.
constexpr std::uint64_t kRowBytes = 512;
constexpr std::uint64_t kLeftFree = 8U << 20U;
// Refusals of one process are counted together for so long.
constexpr std::uint64_t kOneRefusalMs = 60ULL * 60 * 1000;

constexpr const char* kSideFiles[] = {"-wal", "-journal", "-shm"};

std::filesystem::path with_suffix(std::filesystem::path path, const char* suffix) {
  path += suffix;
  return path;
}

// An own error, which is not SQLite's.
[[noreturn]] void cannot_open(const std::filesystem::path& path, const std::string& why) {
  throw SqlError(0, path.native() + ' ' + why);
}

// Makes it where it is missing. REQUIRES: this process has it not open: that would end its locks.
struct stat make_private(const std::filesystem::path& path) {
  const os::UniqueFd file(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  if (!file) cannot_open(path, "cannot be opened: " + os::error_text(errno));
  struct stat found {};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    cannot_open(path, "is not a regular file");
  }
  if ((found.st_mode & 07777) != 0600 && ::fchmod(file.get(), 0600) != 0) {
    cannot_open(path, "cannot be made private: " + os::error_text(errno));
  }
  return found;
}

std::int64_t to_sql(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

HistoryStore::HistoryStore(std::filesystem::path directory, HistorySettings settings,
                           BroadcastId first_id, UnixMs now)
    : directory_(std::move(directory)),
      path_(directory_ / kHistoryFileName),
      settings_(settings),
      first_id_(first_id),
      now_(std::move(now)) {
  if (::stat(directory_.c_str(), &place_) != 0) place_ = {};
}

HistoryStore::~HistoryStore() { close(); }

// --- the file

void HistoryStore::open() {
  try {
    open_file();
  } catch (...) {
    close();
    throw;
  }
}

// The last of a disk is for what the broker needs to answer: ids, the roster.
void HistoryStore::leave_room() const {
  struct statvfs disk {};
  if (::statvfs(directory_.c_str(), &disk) != 0) return;  // opening says what is wrong
  const std::uint64_t left = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (left >= kLeftFree) return;
  throw SqlError(0, path_.native() + " is not written: its file system has " +
                        std::to_string(left >> 10U) + " KiB left, and the last " +
                        std::to_string(kLeftFree >> 10U) + " KiB are for other state");
}

// A directory that was removed and made again is this broker's when its ids are there.
void HistoryStore::be_in_place() {
  struct stat now {};
  if (::stat(directory_.c_str(), &now) != 0) return;  // opening says what is wrong
  if (now.st_ino == place_.st_ino && now.st_dev == place_.st_dev) return;
  struct stat ids {};
  if (::stat((directory_ / kIdFileName).c_str(), &ids) != 0) {
    throw SqlError(0, directory_.native() + " was made anew, and this broker has not taken it yet");
  }
  place_ = now;
}

void HistoryStore::open_file() {
  be_in_place();
  struct stat there {};
  if (::stat(path_.c_str(), &there) != 0) leave_room();
  const struct stat place = make_private(path_);
  file_ = std::make_unique<File>(path_);
  file_->place = place;
  SqlDatabase& database = file_->database;
  database.run(kHistorySettings);
  const auto application = database.number_of("PRAGMA application_id");
  const auto version = database.number_of("PRAGMA user_version");
  const bool is_new = database.number_of("SELECT count(*) FROM sqlite_schema") == 0;
  if (!is_new && application != kHistoryApplication) {
    cannot_open(path_, "is not a history of Muster: move it away");
  }
  if (version > kHistoryVersion) {
    cannot_open(path_, "was written by a newer version of Muster: move it away, or use that one");
  }
  if (is_new) {
    SqlTransaction all(database);
    database.run(kHistorySchema);
    database.run(("PRAGMA application_id = " + std::to_string(kHistoryApplication)).c_str());
    database.run(("PRAGMA user_version = " + std::to_string(kHistoryVersion)).c_str());
    all.commit();
  }
  file_->prepare();
  SqlStatement interrupt = database.prepare(
      "UPDATE broadcasts SET interrupted = 1, failed = 1 WHERE id < ? AND interrupted = 0 AND"
      " state IN ('running', 'verifying')");
  interrupt.number(to_sql(first_id_)).run();
  if (const auto count = database.changes(); count != 0) {
    notes_.push_back({LogLevel::kInfo,
                      std::to_string(count) + " broadcasts in the history did not end before the "
                                              "broker did: they are interrupted",
                      {}});
  }
  read_shares();
  end_holds_that_are_over();
}

void HistoryStore::close() noexcept { file_.reset(); }

bool HistoryStore::is_in_place() const {
  struct stat found {};
  return ::stat(path_.c_str(), &found) == 0 && found.st_ino == file_->place.st_ino &&
         found.st_dev == file_->place.st_dev;
}

void HistoryStore::look_after() {
  if (file_ != nullptr && !is_in_place()) {
    close();
    // Of the file that is gone: SQLite would take them for the new one's.
    struct stat found {};
    if (::stat(path_.c_str(), &found) != 0 && errno == ENOENT) {
      for (const char* suffix : kSideFiles) ::unlink(with_suffix(path_, suffix).c_str());
    }
    notes_.push_back({LogLevel::kWarning,
                      "the history in " + path_.native() + " was deleted: a new one is begun",
                      {}});
  }
  with_file([] {});
}

void HistoryStore::set_aside_damaged(const std::string& why) {
  const auto aside = directory_ / kDamagedHistoryName;
  for (const char* suffix : kSideFiles) ::unlink(with_suffix(aside, suffix).c_str());
  if (::rename(path_.c_str(), aside.c_str()) != 0) {
    cannot_open(path_, "is damaged (" + why + ") and cannot be renamed: " + os::error_text(errno));
  }
  for (const char* suffix : kSideFiles) {
    (void)::rename(with_suffix(path_, suffix).c_str(), with_suffix(aside, suffix).c_str());
  }
  notes_.push_back({LogLevel::kError,
                    "the history in " + path_.native() + " is damaged: it is now " +
                        aside.native() + ", and a new one is begun",
                    why});
}

// --- writing

void HistoryStore::write(const HistoryBatch& batch) {
  if (file_ != nullptr && !is_in_place()) look_after();
  with_file([&] {
    leave_room();
    try {
      SqlTransaction all(file_->database);
      for (const BroadcastId id : batch.dropped) forget(id);
      for (const HistoryRecord& record : batch.records) insert(record);
      for (const auto& [id, change] : batch.holds) change_hold(id, change);
      for (const HistoryRefusal& refusal : batch.refusals) insert(refusal);
      all.commit();
    } catch (...) {
      close();  // what was counted is not true
      throw;
    }
    file_->database.release_memory();
  });
}

void HistoryStore::forget(BroadcastId id) {
  SqlStatement& share = *file_->find_share;
  if (share.number(to_sql(id)).step()) {
    const auto counted = shares_.find(share.number_at(0));
    if (counted != shares_.end()) {
      counted->second.bytes -= static_cast<std::uint64_t>(share.number_at(1));
      if (--counted->second.rows == 0) shares_.erase(counted);
    }
  }
  share.reset();
  file_->drop_broadcast->number(to_sql(id)).run();
  file_->drop_report->number(to_sql(id)).run();
  file_->drop_services->number(to_sql(id)).run();
}

void HistoryStore::insert(const HistoryRecord& record) {
  const std::string_view report = wire::report_in(*record.payload);
  wire::ReportDigest digest;
  forget(record.id);
  // One that was too large for an answer.
  if (report.empty() || !wire::digest_report(report, digest).empty()) return;
  HistoryEntry& entry = digest.entry;
  if (entry.targets == 0 && entry.skipped_dead == 0) {
    entry.targets = record.targets;
    entry.skipped_dead = record.skipped_dead;
  }
  const auto optional_text = [](auto value) {
    return value ? std::string(to_string(*value)) : std::string();
  };
  const std::string verdict = optional_text(entry.verdict);
  const std::string hold_ended = optional_text(entry.hold_ended);
  std::string user;
  std::string command;
  std::optional<std::int64_t> uid;
  std::optional<std::int64_t> pid;
  Account account = digest.own ? kOwnQuiesces : kBroker;
  if (entry.asked_by) {
    user = users_.name_of(entry.asked_by->uid);
    command = entry.asked_by->command;
    uid = account = entry.asked_by->uid;
    pid = entry.asked_by->pid;
  }
  const std::uint64_t bytes = kRowBytes + report.size() + entry.operation.size() +
                              entry.path.size() + kRowBytes / 8 * digest.services.size();
  SqlStatement& put = *file_->put_broadcast;
  put.number(to_sql(record.id)).number(account).number(to_sql(bytes)).number(uid).text(user);
  put.number(pid).text(command).text(entry.operation).blob(entry.path).text(entry.operation_key);
  put.number(to_sql(entry.started_unix_ms)).number(entry.duration.count());
  put.text(to_string(entry.state)).number(entry.interrupted ? 1 : 0).number(entry.failed ? 1 : 0);
  put.number(entry.targets).number(entry.acks).number(entry.timeouts).number(entry.failures);
  put.number(entry.skipped_dead).number(entry.late_answers);
  put.number(entry.backends_unknown ? 1 : 0).number(entry.verify ? 1 : 0);
  entry.verdict ? put.text(verdict) : put.number(std::nullopt);
  put.number(entry.hold ? 1 : 0);
  entry.hold_ended ? put.text(hold_ended) : put.number(std::nullopt);
  put.number(entry.violations).run();
  file_->put_report->number(to_sql(record.id)).blob(report).run();
  for (const std::string& service : digest.services) {
    file_->put_service->text(service).number(to_sql(record.id)).run();
  }
  Share& share = shares_[account];
  share.bytes += bytes;
  ++share.rows;
}

void HistoryStore::change_hold(BroadcastId id, const HoldState& change) {
  auto report = read_report(id);
  if (!report) return;
  HistoryRecord record;
  record.id = id;
  record.payload = std::make_shared<const std::string>(
      wire::payload_of_report(wire::report_with_hold(*std::move(report), change)));
  insert(record);
}

// Their ends did not come to the disk before the broker was killed.
void HistoryStore::end_holds_that_are_over() {
  if (!old_holds_) return;
  std::vector<BroadcastId> over;
  SqlStatement held = file_->database.prepare(
      "SELECT id FROM broadcasts WHERE hold = 1 AND hold_ended IS NULL AND id < ?");
  held.number(to_sql(first_id_));
  while (held.step()) {
    const auto id = static_cast<BroadcastId>(held.number_at(0));
    if (!old_holds_->contains(id)) over.push_back(id);
  }
  held.reset();
  if (over.empty()) return;
  HoldState change;
  change.ended = HoldEnd::kUnseen;
  SqlTransaction all(file_->database);
  for (const BroadcastId id : over) change_hold(id, change);
  all.commit();
}

void HistoryStore::insert(const HistoryRefusal& refusal) {
  SqlStatement& known = *file_->find_refusal;
  const std::uint64_t since =
      refusal.first_unix_ms - std::min(refusal.first_unix_ms, kOneRefusalMs);
  known.number(refusal.uid).number(refusal.pid).text(refusal.key).text(refusal.why);
  std::optional<std::int64_t> row;
  if (known.number(to_sql(since)).step()) row = known.number_at(0);
  known.reset();
  if (row) {
    SqlStatement& count = *file_->count_refusal;
    count.number(to_sql(refusal.times)).number(to_sql(refusal.last_unix_ms)).number(*row).run();
    return;
  }
  const std::string user = users_.name_of(refusal.uid);
  SqlStatement& put = *file_->put_refusal;
  put.number(to_sql(refusal.first_unix_ms)).number(to_sql(refusal.last_unix_ms));
  put.number(to_sql(refusal.times)).number(refusal.uid).text(user).number(refusal.pid);
  put.text(refusal.command).text(refusal.key).text(refusal.why).run();
}

}  // namespace muster::daemon
