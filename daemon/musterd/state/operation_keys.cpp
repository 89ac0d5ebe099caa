#include "musterd/state/operation_keys.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "muster/path.h"

#include "musterd/state/journal.h"

namespace muster::daemon {
namespace {

constexpr std::uint64_t kKeyRecord = 1;
constexpr std::uint64_t kWithdrawnRecord = 2;

}  // namespace

std::string encode_key_entry(const KeyEntry& entry) {
  std::string record;
  put_number(record, entry.withdrawn ? kWithdrawnRecord : kKeyRecord);
  put_number(record, entry.uid);
  put_number(record, entry.id);
  put_number(record, entry.started_unix_ms);
  put_text(record, entry.key);
  put_text(record, entry.request);
  return record;
}

std::optional<KeyEntry> decode_key_entry(std::string_view record) {
  RecordReader reader(record);
  KeyEntry entry;
  const std::uint64_t kind = reader.number();
  if (kind != kKeyRecord && kind != kWithdrawnRecord) return std::nullopt;
  entry.withdrawn = kind == kWithdrawnRecord;
  entry.uid = static_cast<uid_t>(reader.number());
  entry.id = reader.number();
  entry.started_unix_ms = reader.number();
  entry.key = reader.text();
  entry.request = reader.text();
  if (!reader.at_end()) return std::nullopt;
  return entry;
}

KeyStore::KeyStore(const asio::any_io_executor& loop, Worker& worker,
                   const std::filesystem::path& directory, Log& log, std::uint64_t now_unix_ms)
    : file_(escape_bytes((directory / kKeysFileName).native())) {
  JournalFile file(directory, kKeysFileName);
  JournalContent content = file.open();
  lost_ = content.problem;
  for (const std::string& record : content.records) {
    if (auto entry = decode_key_entry(record)) {
      if (entry->withdrawn) {
        std::erase_if(entries_, [&](const Known& one) {
          return one.entry.uid == entry->uid && one.entry.key == entry->key;
        });
      } else {
        insert(std::move(*entry));
      }
    } else {
      lost_ = "has records of another version";
    }
  }
  forget_before(now_unix_ms);
  if (!lost_.empty()) {
    log.error(
        "cannot read the operation keys of the previous run: a repeated request starts a new "
        "broadcast",
        {{"file", file_}, {"why", lost_}});
  }
  const auto health = [&log, name = file_](const std::string& problem) {
    if (problem.empty()) return log.info("operation keys can be written again", {{"file", name}});
    log.warning(
        "cannot write operation keys: after a restart a repeated request starts a new broadcast",
        {{"file", name}, {"why", problem}});
  };
  const auto snapshot = [this] {
    std::vector<std::string> records;
    records.reserve(entries_.size());
    for (const Known& one : entries_) records.push_back(encode_key_entry(one.entry));
    return records;
  };
  journal_ = std::make_unique<Journal>(loop, worker, std::move(file),
                                       Journal::Owner{snapshot, health}, true);
}

KeyStore::~KeyStore() = default;

std::vector<KeyEntry> KeyStore::load() const {
  std::vector<KeyEntry> all;
  all.reserve(entries_.size());
  for (const Known& one : entries_) all.push_back(one.entry);
  return all;
}

KeyStore::Known* KeyStore::known(uid_t uid, std::string_view key) noexcept {
  const auto found = std::find_if(entries_.rbegin(), entries_.rend(), [&](const Known& one) {
    return one.entry.uid == uid && one.entry.key == key;
  });
  return found == entries_.rend() ? nullptr : &*found;
}

const KeyEntry* KeyStore::find(uid_t uid, std::string_view key) const {
  const Known* found = const_cast<KeyStore*>(this)->known(uid, key);
  return found == nullptr ? nullptr : &found->entry;
}

void KeyStore::intend(KeyEntry entry, const Journal::Durable& done) {
  forget_before(entry.started_unix_ms);
  Journal::Durable told = [this, done](bool durable) {
    if (durable) is_late_ = false;
    done(durable);
  };
  if (const Known* there = known(entry.uid, entry.key)) {
    // Once more: what it waits for may be on its way to the disk.
    return journal_->append(encode_key_entry(there->entry), std::move(told));
  }
  // Another key of the user is not given up for what may be refused.
  if (!has_room(entry)) return done(false);
  entry.id = 0;
  const std::string record = encode_key_entry(entry);
  insert(std::move(entry), true);
  journal_->append(record, std::move(told));
}

void KeyStore::begin(uid_t uid, std::string_view key) noexcept {
  if (Known* there = known(uid, key)) there->intended = false;
}

void KeyStore::note_started(KeyEntry entry, Journal::Durable done) {
  forget_before(entry.started_unix_ms);
  const std::string record = encode_key_entry(entry);
  insert(std::move(entry));
  journal_->append(record, std::move(done));
}

void KeyStore::withdraw(uid_t uid, std::string_view key) noexcept {
  const Known* there = known(uid, key);
  if (there == nullptr || !there->intended) return;
  try {
    KeyEntry entry;
    entry.uid = uid;
    entry.key = key;
    entry.withdrawn = true;
    journal_->append(encode_key_entry(entry));
    std::erase_if(entries_, [&](const Known& one) { return &one == there; });
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it is used for an hour then
  }
}

std::string KeyStore::problem() const {
  std::string why = journal_->problem();
  if (why.empty() && is_late_) why = "cannot be written: the disk does not answer";
  if (why.empty()) return {};
  return "operation keys cannot be written: " + file_ + ' ' + why +
         ": make room or repair the disk";
}

void KeyStore::close() { journal_->close(); }

std::size_t KeyStore::count_of(uid_t uid) const noexcept {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [uid](const Known& one) { return one.entry.uid == uid; }));
}

// As the core's, which refuses what does not fit.
bool KeyStore::has_room(const KeyEntry& entry) const noexcept {
  using core::OperationKeys;
  if (entry.request.size() > OperationKeys::kMaxRequestText) return false;
  std::size_t bytes = 0;
  for (const Known& one : entries_) {
    if (one.entry.uid == entry.uid) bytes += one.entry.key.size() + one.entry.request.size();
  }
  return bytes < OperationKeys::kMaxBytesPerUser && count_of(entry.uid) < kMostOfOneUser;
}

void KeyStore::insert(KeyEntry entry, bool intended) {
  const uid_t uid = entry.uid;
  std::erase_if(entries_, [&](const Known& one) {
    return one.entry.uid == entry.uid && one.entry.key == entry.key;
  });
  entries_.push_back({std::move(entry), intended});
  if (count_of(uid) <= kMostOfOneUser) return;
  entries_.erase(std::find_if(entries_.begin(), entries_.end(),
                              [uid](const Known& one) { return one.entry.uid == uid; }));
}

// A clock that went back keeps them for longer; never for less.
void KeyStore::forget_before(std::uint64_t unix_ms) {
  const auto kept = static_cast<std::uint64_t>(kKept.count());
  std::erase_if(entries_,
                [&](const Known& one) { return one.entry.started_unix_ms + kept < unix_ms; });
}

}  // namespace muster::daemon
