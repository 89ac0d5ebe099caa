#include "musterd/state/roster.h"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "muster/path.h"

#include "musterd/state/journal.h"
#include "os/peer.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

bool same_process(const RosterEntry& a, const RosterEntry& b) {
  return a.pid > 0 && a.pid == b.pid && a.start_ticks == b.start_ticks && a.boot_id == b.boot_id &&
         a.namespaces == b.namespaces;
}

bool same_but_quiesced(const RosterEntry& a, const RosterEntry& b) {
  return same_process(a, b) && a.uid == b.uid && a.gid == b.gid && a.refused == b.refused &&
         a.registration == b.registration;
}

// Where nobody can tell, it is of this one.
bool is_of_earlier_boot(const std::filesystem::path& path) {
  struct stat file {};
  timespec now{};
  timespec up{};
  if (::stat(path.c_str(), &file) != 0 || ::clock_gettime(CLOCK_REALTIME, &now) != 0 ||
      ::clock_gettime(CLOCK_BOOTTIME, &up) != 0) {
    return false;
  }
  constexpr time_t kClockError = 60;  // what the clock may have been set by since
  return file.st_mtim.tv_sec + kClockError < now.tv_sec - up.tv_sec;
}

constexpr std::string_view kMarkerBegin = "roster.incomplete-";
constexpr std::string_view kRefusedMarkerBegin = "roster.refused-";

// The file that becomes the marker: on a disk that is full none could be made.
std::filesystem::path spare_of(const std::filesystem::path& marker) {
  const std::string name = marker.filename();
  const bool is_refused = name.starts_with(kRefusedMarkerBegin);
  return marker.parent_path() / (is_refused ? "roster.refused.spare" : "roster.spare");
}

void make_empty(const std::filesystem::path& path) {
  const os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

void write_marker(const std::filesystem::path& marker) {
  if (::access(marker.c_str(), F_OK) == 0) return;
  if (::rename(spare_of(marker).c_str(), marker.c_str()) != 0) make_empty(marker);
}

void remove_marker(const std::filesystem::path& marker) {
  (void)::rename(marker.c_str(), spare_of(marker).c_str());
}

std::string marker_name(std::string_view begin) {
  std::string name(begin);
  return name.append(os::boot_id());
}

// Of earlier boots: they mean nothing any more.
void remove_old_markers(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    for (const std::string_view begin : {kMarkerBegin, kRefusedMarkerBegin}) {
      if (name.starts_with(begin) && name != marker_name(begin)) remove_marker(entry.path());
    }
  }
}

}  // namespace

RosterEntry describe_process(pid_t pid) {
  RosterEntry entry;
  entry.pid = pid;
  if (pid > 0) entry.start_ticks = os::start_time(pid).value_or(0);
  entry.boot_id = os::boot_id();
  entry.namespaces = os::current_namespaces();
  return entry;
}

bool is_unseen(const RosterEntry& entry, const os::Whereabouts& here) {
  return os::is_elsewhere(entry.namespaces, here.namespaces);
}

bool may_live(const RosterEntry& entry, const os::Whereabouts& here) {
  if (!os::may_outlive({entry.boot_id, entry.namespaces}, here)) return false;
  if (entry.pid <= 0 || is_unseen(entry, here)) return true;
  if (::kill(entry.pid, 0) != 0 && errno == ESRCH) return false;
  // Hidden from us (hidepid), or not known then: it may be the same.
  const auto started = os::start_time(entry.pid);
  return !started || entry.start_ticks == 0 || *started == entry.start_ticks;
}

RosterStore::RosterStore(const asio::any_io_executor& loop, Worker& worker,
                         const std::filesystem::path& directory, Log& log, bool had_predecessor)
    : worker_(worker),
      log_(log),
      marker_(directory / marker_name(kMarkerBegin)),
      refused_marker_(directory / marker_name(kRefusedMarkerBegin)),
      file_(escape_bytes((directory / kRosterFileName).native())) {
  // Where the host goes down nobody is left to expect.
  JournalFile file(directory, kRosterFileName, JournalFile::Appended::kInKernel);
  JournalContent content = file.open();
  std::size_t unknown = 0;
  for (const std::string& record : content.records) {
    if (auto change = decode_roster_change(record)) {
      apply(std::move(*change));
    } else {
      ++unknown;
    }
  }
  if (!content.problem.empty()) {
    lost_ = content.problem;
  } else if (unknown != 0) {
    lost_ = "has " + std::to_string(unknown) + " records of another version";
  } else if (content.is_missing && had_predecessor) {
    lost_ = "was deleted";
  }
  // Whoever was registered before the host went down does not run any more.
  if (!lost_.empty() && !content.is_missing && is_of_earlier_boot(directory / kRosterFileName)) {
    lost_.clear();
  }
  if (std::error_code error; lost_.empty() && std::filesystem::exists(marker_, error)) {
    lost_ = "was not whole, or could not be written, in an earlier run";
  }
  if (std::error_code error; std::filesystem::exists(refused_marker_, error)) {
    earlier_unlisted_refused_ = true;
    log_.warning(
        "an earlier run refused processes that it did not list: they may run, and are unknown",
        {{"file", escape_bytes(refused_marker_.native())}});
  }
  remove_old_markers(directory);
  make_empty(spare_of(marker_));
  if (!earlier_unlisted_refused_) make_empty(spare_of(refused_marker_));
  if (!lost_.empty()) {
    write_marker(marker_);  // before the file is written anew, and looks whole
    log.error("cannot read the roster: backends that have not reconnected are unknown",
              {{"file", file_}, {"why", lost_}});
  } else if (content.cut_bytes != 0) {
    // Its backend has not heard that it is registered.
    log.warning("removed the incomplete last record of the roster",
                {{"file", file_}, {"bytes", content.cut_bytes}});
  }
  const auto health = [this](const std::string& problem) { health_changed(problem); };
  journal_ = std::make_unique<Journal>(loop, worker, std::move(file),
                                       Journal::Owner{[this] { return snapshot(); }, health}, true);
}

RosterStore::~RosterStore() = default;

void RosterStore::health_changed(const std::string& problem) {
  // What is registered from now on stands in no file: the next broker must know that it misses
  // them.
  if (!problem.empty()) (void)worker_.run([marker = marker_] { write_marker(marker); });
  if (problem.empty()) {
    remove_markers_if_whole();
    return log_.info("the roster can be written again", {{"file", file_}});
  }
  log_.warning(
      "cannot write the roster: after a crash the broker would not know which backends to expect",
      {{"file", file_}, {"why", problem}});
}

bool RosterStore::forget_lost() {
  if (lost_.empty() && !earlier_unlisted_refused_) return false;
  lost_.clear();
  earlier_unlisted_refused_ = false;
  if (journal_->problem().empty()) remove_markers_if_whole();
  return true;
}

void RosterStore::set_unlisted_refused(bool missed) {
  const bool was_missed = std::exchange(has_unlisted_refused_, missed);
  if (missed || earlier_unlisted_refused_) {
    // Each time: somebody may have deleted it.
    (void)worker_.run([marker = refused_marker_] { write_marker(marker); });
  } else if (was_missed && journal_->problem().empty()) {
    remove_markers_if_whole();
  }
}

void RosterStore::remove_markers_if_whole() {
  if (lost_.empty()) (void)worker_.run([marker = marker_] { remove_marker(marker); });
  if (has_unlisted_refused_ || earlier_unlisted_refused_) return;
  (void)worker_.run([marker = refused_marker_] { remove_marker(marker); });
}

std::vector<RosterEntry> RosterStore::load(const os::Whereabouts& here) {
  std::vector<RosterEntry> living;
  std::vector<BackendKey> gone;
  for (const auto& [order, entry] : entries_) {
    if (may_live(entry, here)) {
      living.push_back(entry);
    } else {
      gone.push_back(entry.registration.key);
    }
  }
  for (const BackendKey& key : gone) note_gone(key);
  return living;
}

void RosterStore::note_registered(RosterEntry entry, Journal::Durable done) {
  RosterChange change{std::move(entry), RosterChange::Kind::kRegistered};
  const BackendKey& key = change.entry.registration.key;
  const RosterEntry* written = find(key);
  const bool is_new = written == nullptr || !same_but_quiesced(*written, change.entry);
  if (is_new) {
    const std::string record = encode_roster_change(change);
    apply(change);
    written = find(key);
    if (written->quiesced == change.entry.quiesced) {
      return journal_->append(record, std::move(done));
    }
    journal_->append(record);
  }
  note_quiesced(key, std::move(change.entry.quiesced), std::move(done));
}

void RosterStore::note_quiesced(const BackendKey& key, core::Quiesces quiesced,
                                Journal::Durable done) {
  RosterChange change;
  change.entry.registration.key = key;
  change.entry.quiesced = std::move(quiesced);
  change.kind = RosterChange::Kind::kQuiesced;
  const std::string record = encode_roster_change(change);
  apply(std::move(change));
  journal_->append(record, std::move(done));
}

const RosterEntry* RosterStore::find(const BackendKey& key) const {
  const auto place = order_of_.find(key);
  return place == order_of_.end() ? nullptr : &entries_.at(place->second);
}

void RosterStore::note_gone(const BackendKey& key, Journal::Durable done) {
  if (!order_of_.contains(key)) {
    if (done) done(journal_->problem().empty());
    return;
  }
  RosterChange change;
  change.entry.registration.key = key;
  change.kind = RosterChange::Kind::kGone;
  const std::string record = encode_roster_change(change);
  apply(std::move(change));
  journal_->append(record, std::move(done));
}

void RosterStore::when_written(std::function<void()> done) {
  // Markers go by the worker, too, which does one thing after another.
  journal_->when_written([this, done = std::move(done)](bool) {
    if (!worker_.run([] {}, [done](bool) { done(); })) done();
  });
}

std::string RosterStore::problem() const {
  const std::string& why = journal_->problem();
  if (!why.empty()) {
    return "the roster cannot be written: " + file_ + ' ' + why + ": make room or repair the disk";
  }
  if (is_late_) {
    return "the roster is not up to date: writing " + file_ +
           " takes more than a second: repair the disk";
  }
  if (unwatched_ != 0) {
    return std::to_string(unwatched_) +
           " backends of an earlier run cannot be watched: no file descriptor is free; raise the "
           "limit (LimitNOFILE=)";
  }
  const std::string what_to_do = "look who uses files, then: musterctl forget --lost-roster";
  if (lost_.empty() && earlier_unlisted_refused_) {
    return "the broker of an earlier run refused backends that it did not list: they may run, and "
           "are not asked until they register; " +
           what_to_do;
  }
  if (lost_.empty()) return {};
  return "the roster of an earlier run could not be read: " + file_ + ' ' + lost_ +
         ": backends may be missing; " + what_to_do;
}

void RosterStore::close() { journal_->close(); }

void RosterStore::apply(RosterChange change) {
  const BackendKey key = change.entry.registration.key;
  const auto known = order_of_.find(key);
  if (change.kind == RosterChange::Kind::kGone) {
    if (known == order_of_.end()) return;
    entries_.erase(known->second);
    order_of_.erase(known);
    return;
  }
  if (change.kind == RosterChange::Kind::kQuiesced) {
    if (known == order_of_.end()) return;
    entries_.at(known->second).quiesced = std::move(change.entry.quiesced);
    return;
  }
  // What follows says otherwise where it is so: a crash in between forgets nothing.
  change.entry.quiesced.clear();
  if (known != order_of_.end() && same_process(entries_.at(known->second), change.entry)) {
    change.entry.quiesced = std::move(entries_.at(known->second).quiesced);
  }
  // A key that is replaced keeps its place, as in the registry.
  const std::uint64_t order = known == order_of_.end() ? next_order_++ : known->second;
  entries_.insert_or_assign(order, std::move(change.entry));
  order_of_.insert_or_assign(key, order);
}

std::vector<std::string> RosterStore::snapshot() const {
  std::vector<std::string> records;
  records.reserve(entries_.size());
  for (const auto& [order, entry] : entries_) {
    records.push_back(encode_roster_change({entry, RosterChange::Kind::kRegistered}));
    if (entry.quiesced.empty()) continue;
    records.push_back(encode_roster_change({entry, RosterChange::Kind::kQuiesced}));
  }
  return records;
}

}  // namespace muster::daemon
