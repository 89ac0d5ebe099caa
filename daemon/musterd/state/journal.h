// Journals: records, the file that they stand in, and writing it without holding up the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <asio/any_io_executor.hpp>

#include "musterd/runtime/worker.h"
#include "os/unique_fd.h"

namespace muster::daemon {

// Files of records: what a record is made of, and the file that they stand in.

// Numbers and texts of a journal's records: little-endian, a text behind its length.
inline void put_number(std::string& out, std::uint64_t value) {
  for (unsigned shift = 0; shift < 64; shift += 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xFFU));
  }
}
inline void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

// Takes what was put off the front. Once something is missing all is zero and empty, and good() is
// false.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] std::uint64_t number() {
    const std::string_view bytes = take(8);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    return value;
  }
  [[nodiscard]] std::string_view text() { return take(number()); }
  [[nodiscard]] bool good() const noexcept { return good_; }
  // All was taken, and nothing was missing.
  [[nodiscard]] bool at_end() const noexcept { return good_ && rest_.empty(); }

 private:
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

// A file of records that only grows, and is replaced as a whole when it has grown too much.
//
//   muster journal 1\n
//   [u32 length][u32 CRC-32C of length and payload][payload]    little-endian, again and again
//
// A crash of the host may leave the last record incomplete: open() cuts off what follows the last
// whole one. What is damaged otherwise is a problem, and what is whole behind it is read all the
// same. After an append that failed, nobody knows what the disk has (a failed fsync may lose what
// was written before it): only replace() helps then, and append() refuses until it succeeded.
//
// Blocking; any thread, one at a time.
inline constexpr std::size_t kMaxRecordBytes = 64 * 1024;
inline constexpr std::uint64_t kMaxJournalBytes = 256ULL << 20U;

struct JournalContent {
  std::vector<std::string> records;
  bool is_missing = false;      // there is no file
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
  // Makes the directory where that is missing.
  [[nodiscard]] std::string replace(std::string_view framed);
  // Whether the file that is appended to is the one that has its name: not when somebody deleted or
  // replaced it. True while replace() has to come first.
  [[nodiscard]] bool is_in_place() const;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::filesystem::path directory_;
  std::filesystem::path path_;
  Appended appended_;
  os::UniqueFd file_;  // empty: replace() first
  std::uint64_t size_ = 0;
};

// A JournalFile for the loop: what is noted goes to disk on the worker, in batches, and what became
// of it is said afterwards, on the loop.
//
// Its owner keeps in memory everything that the file stands for. When a write fails, the file is
// written anew from that as soon as the disk takes it again (tried every second), so nothing
// is missing from it then.
//
// The loop's thread.
class Journal {
 public:
  using Durable = std::function<void(bool durable)>;
  struct Owner {
    // Records that stand for everything, as payloads.
    std::function<std::vector<std::string>()> snapshot;
    // Why it cannot be written, once when that begins; empty once when it is over.
    std::function<void(const std::string& problem)> health;
  };
  // What may wait for the disk. Over it, what is noted counts as not durable, and the file is
  // written anew.
  static constexpr std::size_t kMaxPendingBytes = 8 << 20;
  // A file is written anew when it is so much larger than twice what it stands for.
  static constexpr std::uint64_t kSlack = 64 * 1024;

  // `file` was opened. `worker` outlives it. With `anew` it is written anew here, which blocks.
  Journal(const asio::any_io_executor& loop, Worker& worker, JournalFile file, Owner owner,
          bool anew);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Calls `done` with whether the record is on disk. A record above kMaxRecordBytes is not written.
  void append(std::string_view payload, Durable done = {});
  // Calls `done` when all that was appended before is on disk (true), or cannot be written (false).
  // May call it at once.
  void when_written(Durable done);
  // Looks, on the worker, whether the file still has its name, and writes it anew when not.
  void check();
  // Writes everything once more, with what waits, and arms nothing any more. The worker's close()
  // waits for it.
  void close();
  // Why the disk does not have all; empty when it does, or will as far as is known.
  [[nodiscard]] const std::string& problem() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::daemon
