#include "musterd/state/operation_keys.h"

#include <algorithm>
#include <utility>

#include "muster/path.h"

#include "musterd/state/record_bytes.h"

namespace muster::daemon {
namespace {

constexpr std::uint64_t kKeyRecord = 1;

}  // namespace

std::string encode_key_entry(const KeyEntry& entry) {
  std::string record;
  put_number(record, kKeyRecord);
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
  if (reader.number() != kKeyRecord) return std::nullopt;
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
      insert(std::move(*entry));
    } else {
      lost_ = "has records of another version";
    }
  }
  forget_before(now_unix_ms);
  if (!lost_.empty()) {
    log.error(
        "operation keys of before the start cannot be read: a request with one of them is sent "
        "again",
        {{"file", file_}, {"why", lost_}});
  }
  const auto health = [&log, name = file_](const std::string& problem) {
    if (problem.empty()) return log.info("operation keys are written down again", {{"file", name}});
    log.warning(
        "operation keys cannot be written down: a request with one is sent again after a restart",
        {{"file", name}, {"why", problem}});
  };
  const auto snapshot = [this] {
    std::vector<std::string> records;
    records.reserve(entries_.size());
    for (const KeyEntry& entry : entries_) records.push_back(encode_key_entry(entry));
    return records;
  };
  journal_ = std::make_unique<Journal>(loop, worker, std::move(file),
                                       Journal::Owner{snapshot, health}, true);
}

KeyStore::~KeyStore() = default;

std::vector<KeyEntry> KeyStore::load() const { return {entries_.begin(), entries_.end()}; }

const KeyEntry* KeyStore::find(uid_t uid, std::string_view key) const {
  const auto found = std::find_if(entries_.rbegin(), entries_.rend(), [&](const KeyEntry& entry) {
    return entry.uid == uid && entry.key == key;
  });
  return found == entries_.rend() ? nullptr : &*found;
}

void KeyStore::note_started(KeyEntry entry, Journal::Durable done) {
  forget_before(entry.started_unix_ms);
  const std::string record = encode_key_entry(entry);
  insert(std::move(entry));
  journal_->append(record, std::move(done));
}

std::string KeyStore::problem() const {
  const std::string& why = journal_->problem();
  if (why.empty()) return {};
  return "operation keys cannot be written down: " + file_ + ' ' + why +
         ": make room or repair the disk";
}

void KeyStore::close() { journal_->close(); }

void KeyStore::insert(KeyEntry entry) {
  const uid_t uid = entry.uid;
  std::erase_if(entries_, [&](const KeyEntry& known) {
    return known.uid == entry.uid && known.key == entry.key;
  });
  entries_.push_back(std::move(entry));
  const auto is_of_user = [uid](const KeyEntry& known) { return known.uid == uid; };
  if (std::count_if(entries_.begin(), entries_.end(), is_of_user) >
      static_cast<std::ptrdiff_t>(kMostOfOneUser)) {
    entries_.erase(std::find_if(entries_.begin(), entries_.end(), is_of_user));
  }
}

// A clock that went back keeps them for longer; never for less.
void KeyStore::forget_before(std::uint64_t unix_ms) {
  const auto kept = static_cast<std::uint64_t>(kKept.count());
  std::erase_if(entries_,
                [&](const KeyEntry& entry) { return entry.started_unix_ms + kept < unix_ms; });
}

}  // namespace muster::daemon
