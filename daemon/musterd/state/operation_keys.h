// Operation keys on disk: a key belongs to the user who used it, and is known for at least an hour
// after its broadcast began, whatever becomes of the broker meanwhile.
//
// A key is on disk before anything is sent: intend() writes it down without an id, the broadcast
// follows, note_started() adds the id. A broker that is killed in between has asked somebody or
// nobody; the next one does not send it again.
//
// The loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <asio/any_io_executor.hpp>

#include "muster/registration.h"

#include "core/operation_keys.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"
#include "musterd/state/journal.h"

namespace muster::daemon {

inline constexpr const char* kKeysFileName = "operation-keys";

struct KeyEntry {
  uid_t uid = 0;
  std::string key;
  BroadcastId id = 0;   // 0: it was about to be sent
  std::string request;  // bytes that are equal for the same operation and selection
  std::uint64_t started_unix_ms = 0;
  bool withdrawn = false;  // a record: nothing was sent, the key is free again

  friend bool operator==(const KeyEntry&, const KeyEntry&) = default;
};

[[nodiscard]] std::string encode_key_entry(const KeyEntry& entry);
[[nodiscard]] std::optional<KeyEntry> decode_key_entry(std::string_view record);

class KeyStore {
 public:
  static constexpr std::chrono::milliseconds kKept = std::chrono::hours(1);
  // Of one user within the hour; beyond that the oldest of that user goes.
  static constexpr std::size_t kMostOfOneUser = core::OperationKeys::kMaxPerUser;

  // As RosterStore.
  KeyStore(const asio::any_io_executor& loop, Worker& worker,
           const std::filesystem::path& directory, Log& log, std::uint64_t now_unix_ms);
  ~KeyStore();
  KeyStore(const KeyStore&) = delete;
  KeyStore& operator=(const KeyStore&) = delete;

  // Those of the last hour, the oldest first.
  [[nodiscard]] std::vector<KeyEntry> load() const;
  // Null when that user did not use it within the hour.
  [[nodiscard]] const KeyEntry* find(uid_t uid, std::string_view key) const;
  // Writes the key before its broadcast has an id. Calls `done` with whether it is on disk,
  // possibly before this returns. An entry that has this key already stays as it is.
  void intend(KeyEntry entry, const Journal::Durable& done);
  // What was intended is sent: withdraw() does nothing any more.
  void begin(uid_t uid, std::string_view key) noexcept;
  void note_started(KeyEntry entry, Journal::Durable done = {});
  // What this broker intended was not sent. Nothing happens when it was, or for another's.
  void withdraw(uid_t uid, std::string_view key) noexcept;

  // Whether a broadcast that begins now may be sent again after a restart, as its key is not on
  // disk.
  void set_at_risk(bool at_risk) noexcept { at_risk_ = at_risk; }
  [[nodiscard]] bool at_risk() const noexcept { return at_risk_; }
  // The disk takes too long: problem() says so until it has answered.
  void set_late() noexcept { is_late_ = true; }
  [[nodiscard]] std::string problem() const;
  // As Journal::check().
  void check() { journal_->check(); }
  void close();

 private:
  struct Known {
    KeyEntry entry;
    bool intended = false;  // by this broker, and not sent yet
  };

  void insert(KeyEntry entry, bool intended = false);
  [[nodiscard]] Known* known(uid_t uid, std::string_view key) noexcept;
  [[nodiscard]] std::size_t count_of(uid_t uid) const noexcept;
  [[nodiscard]] bool has_room(const KeyEntry& entry) const noexcept;
  void forget_before(std::uint64_t unix_ms);

  std::deque<Known> entries_;  // as they began
  bool at_risk_ = false;
  bool is_late_ = false;
  std::string lost_;
  std::string file_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace muster::daemon
