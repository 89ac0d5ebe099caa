#include "musterd/state/roster.h"

#include <cerrno>
#include <csignal>
#include <fstream>
#include <utility>
#include <variant>

#include "muster/path.h"

#include "musterd/state/record_bytes.h"
#include "os/peer.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::daemon {
namespace {

// The first number of a record.
constexpr std::uint64_t kEntryRecord = 1;
constexpr std::uint64_t kGoneRecord = 2;

std::optional<Registration> decode_registration(std::string_view frame) {
  const wire::FrameView view = wire::next_frame(frame, wire::kMaxBackendBody);
  if (view.status != wire::FrameView::Status::kComplete || view.bytes != frame.size()) {
    return std::nullopt;
  }
  wire::BackendFrameDecoder decoder;
  wire::BackendFrame decoded;
  if (!decoder.decode(view.body, decoded).empty()) return std::nullopt;
  auto* registration = std::get_if<Registration>(&decoded.message);
  if (registration == nullptr) return std::nullopt;
  return std::move(*registration);
}

}  // namespace

std::string current_boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

RosterEntry describe_process(pid_t pid) {
  RosterEntry entry;
  entry.pid = pid;
  if (pid > 0) entry.start_ticks = os::start_time(pid).value_or(0);
  entry.boot_id = current_boot_id();
  return entry;
}

bool may_live(const RosterEntry& entry, std::string_view boot_id) {
  if (!entry.boot_id.empty() && !boot_id.empty() && entry.boot_id != boot_id) return false;
  if (entry.pid <= 0) return true;
  if (::kill(entry.pid, 0) != 0 && errno == ESRCH) return false;
  // Hidden from us (hidepid), or not known then: it may be the same.
  const auto started = os::start_time(entry.pid);
  return !started || entry.start_ticks == 0 || *started == entry.start_ticks;
}

std::string encode_roster_change(const RosterChange& change) {
  const RosterEntry& entry = change.entry;
  std::string record;
  put_number(record, change.gone ? kGoneRecord : kEntryRecord);
  if (!change.gone) {
    put_number(record, entry.uid);
    put_number(record, entry.gid);
    put_number(record, static_cast<std::uint64_t>(entry.pid));
    put_number(record, entry.start_ticks);
    put_text(record, entry.boot_id);
    put_text(record, wire::encode(0, entry.registration));
    return record;
  }
  Registration key_alone;
  key_alone.key = entry.registration.key;
  put_text(record, wire::encode(0, key_alone));
  return record;
}

std::optional<RosterChange> decode_roster_change(std::string_view record) {
  RecordReader reader(record);
  RosterChange change;
  const std::uint64_t kind = reader.number();
  if (kind != kEntryRecord && kind != kGoneRecord) return std::nullopt;
  change.gone = kind == kGoneRecord;
  if (!change.gone) {
    change.entry.uid = static_cast<uid_t>(reader.number());
    change.entry.gid = static_cast<gid_t>(reader.number());
    change.entry.pid = static_cast<pid_t>(reader.number());
    change.entry.start_ticks = reader.number();
    change.entry.boot_id = reader.text();
  }
  auto registration = decode_registration(reader.text());
  if (!reader.at_end() || !registration) return std::nullopt;
  change.entry.registration = std::move(*registration);
  return change;
}

RosterStore::RosterStore(const asio::any_io_executor& loop, Worker& worker,
                         const std::filesystem::path& directory, Log& log)
    : file_(escape_bytes((directory / kRosterFileName).native())) {
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
  }
  if (!lost_.empty()) {
    log.error("cannot read the roster: backends that have not reconnected are unknown",
              {{"file", file_}, {"why", lost_}});
  } else if (content.cut_bytes != 0) {
    log.warning("removed the incomplete last record of the roster",
                {{"file", file_}, {"bytes", content.cut_bytes}});
  }
  const auto health = [&log, file = file_](const std::string& problem) {
    if (problem.empty()) return log.info("the roster can be written again", {{"file", file}});
    log.warning(
        "cannot write the roster: after a crash the broker would not know which backends to expect",
        {{"file", file}, {"why", problem}});
  };
  journal_ = std::make_unique<Journal>(loop, worker, std::move(file),
                                       Journal::Owner{[this] { return snapshot(); }, health}, true);
}

RosterStore::~RosterStore() = default;

std::vector<RosterEntry> RosterStore::load(std::string_view boot_id) {
  std::vector<RosterEntry> living;
  std::vector<BackendKey> gone;
  for (const auto& [order, entry] : entries_) {
    if (may_live(entry, boot_id)) {
      living.push_back(entry);
    } else {
      gone.push_back(entry.registration.key);
    }
  }
  for (const BackendKey& key : gone) note_gone(key);
  return living;
}

void RosterStore::note_registered(RosterEntry entry, Journal::Durable done) {
  RosterChange change{std::move(entry), false};
  const std::string record = encode_roster_change(change);
  apply(std::move(change));
  journal_->append(record, std::move(done));
}

void RosterStore::note_gone(const BackendKey& key, Journal::Durable done) {
  if (!order_of_.contains(key)) {
    if (done) done(journal_->problem().empty());
    return;
  }
  RosterChange change;
  change.entry.registration.key = key;
  change.gone = true;
  const std::string record = encode_roster_change(change);
  apply(std::move(change));
  journal_->append(record, std::move(done));
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
  if (lost_.empty()) return {};
  return "the roster of the previous run could not be read: " + file_ + ' ' + lost_ +
         ": backends that have not reconnected are unknown";
}

void RosterStore::close() { journal_->close(); }

void RosterStore::apply(RosterChange change) {
  const BackendKey key = change.entry.registration.key;
  const auto known = order_of_.find(key);
  if (change.gone) {
    if (known == order_of_.end()) return;
    entries_.erase(known->second);
    order_of_.erase(known);
    return;
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
    records.push_back(encode_roster_change({entry, false}));
  }
  return records;
}

}  // namespace muster::daemon
