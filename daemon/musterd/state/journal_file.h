// A file of records that only grows, and is replaced as a whole when it has grown too much.
//
//   muster journal 1\n
//   [u32 length][u32 CRC-32C of length and payload][payload]    little-endian, again and again
//
// A crash may leave the last record incomplete: open() cuts off what follows the last whole one.
// After an append that failed, nobody knows what the disk has (a failed fsync may lose what was
// written before it): only replace() helps then, and append() refuses until it succeeded.
//
// Blocking; any thread, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "os/unique_fd.h"

namespace muster::daemon {

inline constexpr std::size_t kMaxRecordBytes = 64 * 1024;
inline constexpr std::uint64_t kMaxJournalBytes = 256ULL << 20U;

struct JournalContent {
  std::vector<std::string> records;
  std::uint64_t cut_bytes = 0;  // behind the last whole record
  std::string problem;          // why it could not be read; a sentence's end
};

// A record as it stands in the file. REQUIRES: at most kMaxRecordBytes.
[[nodiscard]] std::string frame_record(std::string_view payload);

class JournalFile {
 public:
  // What append() has done: the disk has the records, or the kernel. The latter outlives a crash of
  // the broker, not one of the host.
  enum class Appended : std::uint8_t { kOnDisk, kInKernel };

  JournalFile(std::filesystem::path directory, const std::string& name,
              Appended appended = Appended::kOnDisk);

  // Reads all and makes ready for append(). No file is an empty one. With a problem, only
  // replace() works from then on.
  [[nodiscard]] JournalContent open();
  // Appends framed records. Empty when they are where they have to be, else why not.
  [[nodiscard]] std::string append(std::string_view framed);
  // Puts a new file in the place of the old one, durably: framed records that stand for everything.
  [[nodiscard]] std::string replace(std::string_view framed);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::filesystem::path directory_;
  std::filesystem::path path_;
  Appended appended_;
  os::UniqueFd file_;  // empty: replace() first
  std::uint64_t size_ = 0;
};

}  // namespace muster::daemon
