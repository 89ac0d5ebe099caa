// A JournalFile for the loop: what is noted goes to disk on the worker, in batches, and what became
// of it is said afterwards, on the loop.
//
// Its owner keeps in memory everything that the file stands for. When a write fails, the file is
// written anew from that as soon as the disk takes it again (tried every second), so nothing
// is missing from it then.
//
// The loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <asio/any_io_executor.hpp>

#include "musterd/runtime/worker.h"
#include "musterd/state/journal_file.h"

namespace muster::daemon {

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

  // REQUIRES: at most kMaxRecordBytes. `done` is told whether the record is on disk.
  void append(std::string_view payload, Durable done = {});
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
