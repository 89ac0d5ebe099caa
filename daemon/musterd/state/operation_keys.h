// Operation keys on disk: a key belongs to the user who used it, and is known for at least an hour
// after its broadcast began, whatever becomes of the broker meanwhile.
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

#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"
#include "musterd/state/journal.h"

namespace muster::daemon {

inline constexpr const char* kKeysFileName = "operation-keys";

struct KeyEntry {
  uid_t uid = 0;
  std::string key;
  BroadcastId id = 0;
  std::string request;  // bytes that are equal for the same operation and selection
  std::uint64_t started_unix_ms = 0;

  friend bool operator==(const KeyEntry&, const KeyEntry&) = default;
};

[[nodiscard]] std::string encode_key_entry(const KeyEntry& entry);
[[nodiscard]] std::optional<KeyEntry> decode_key_entry(std::string_view record);

class KeyStore {
 public:
  static constexpr std::chrono::milliseconds kKept = std::chrono::hours(1);
  // Of one user within the hour; beyond that the oldest of that user goes.
  static constexpr std::size_t kMostOfOneUser = 4096;

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
  void note_started(KeyEntry entry, Journal::Durable done = {});
  [[nodiscard]] std::string problem() const;
  void close();

 private:
  void insert(KeyEntry entry);
  void forget_before(std::uint64_t unix_ms);

  std::deque<KeyEntry> entries_;  // as they began
  std::string lost_;
  std::string file_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace muster::daemon
