// Broadcast ids, unique across restarts.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <asio/any_io_executor.hpp>

#include "muster/registration.h"

#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"

namespace muster::daemon {

// The file that keeps broadcast ids unique across restarts.
//
//   muster broadcast ids 1
//   first 1764000000       the first id that was ever given out with this directory
//   next 1764001024        no id from here on was given out
//
// It is replaced as a whole, never written in place. Blocking; any thread, one at a time for one
// directory.
inline constexpr std::string_view kIdFileName = "broadcast-ids";

struct IdMark {
  BroadcastId first = 0;
  BroadcastId next = 0;

  friend bool operator==(const IdMark&, const IdMark&) = default;
};

[[nodiscard]] std::string format_mark(IdMark mark);
// Nothing when the text is anything else than what format_mark() makes.
[[nodiscard]] std::optional<IdMark> parse_mark(std::string_view text);

struct ReadMark {
  std::optional<IdMark> mark;  // nothing: no file, or a bad one
  std::string problem;         // what is wrong with a file that is there; a sentence's end
};
[[nodiscard]] ReadMark read_mark(const std::filesystem::path& directory);

// Replaces the file, durably. Empty when it went well, else why not.
[[nodiscard]] std::string write_mark(const std::filesystem::path& directory, IdMark mark);

// Gives out broadcast ids. No file, no thread, no clock: BroadcastIds writes the marks down.
//
// Ids are reserved in blocks: a mark above them is on disk before one of them is given out, so that
// a crash loses numbers and repeats none. The next block is asked for long before one is used up.
//
// Without a block (the disk fails, or hangs for a whole block) ids go on all the same, from a range
// that belongs to this moment: there are 2,048 for each millisecond since 1970. Such an id is not
// covered: only the clock keeps it from being given out once more. It is far above every id that
// was counted up from a mark, and below 2^53 until the year 2109 (numbers of JSON are exact there).
//
// Ids only grow.
class IdAllocator {
 public:
  static constexpr BroadcastId kBlock = 32'768;
  // So many ids are given out before the next block is asked for.
  static constexpr BroadcastId kAskAfter = 512;
  static constexpr BroadcastId kIdsOfAMillisecond = 2048;

  struct Taken {
    BroadcastId id = 0;
    bool covered = false;  // by a mark on disk
  };

  // Begins at the mark. Without one it begins at the second; with `mark_was_lost` (a file that
  // cannot be read) at the range of this moment, as nobody knows which ids were given out.
  IdAllocator(std::optional<IdMark> mark, bool mark_was_lost, std::uint64_t unix_ms);

  Taken take(std::uint64_t unix_ms);
  // The first id ever. Ids below it were never given out.
  [[nodiscard]] BroadcastId first() const noexcept { return first_; }
  [[nodiscard]] BroadcastId next() const noexcept { return next_; }
  // What would be true if it stood in the file now and nothing were reserved.
  [[nodiscard]] IdMark exact() const noexcept { return {first_, next_}; }

  // The mark to write down now; nothing while enough is reserved, or one is on its way.
  [[nodiscard]] std::optional<IdMark> reserve();
  // What became of the last reserve(): it is durable, or it could not be written.
  void reserved(IdMark mark);
  void reservation_failed();
  // What was written down is gone: nothing is covered until it is written again.
  void mark_is_gone() { reserved_ = next_; }
  [[nodiscard]] bool is_reserving() const noexcept { return under_way_; }

 private:
  BroadcastId first_;
  BroadcastId next_;
  BroadcastId reserved_;  // ids below it are covered
  bool under_way_ = false;
};

struct OpenedIds;

// Broadcast ids that are unique for the life of the host: an IdAllocator and its file.
//
// The loop's thread. The first block is on disk before open() returns; later ones are written by
// the worker, so that a slow disk does not hold up a broadcast. What cannot be read or written is
// logged, stands in problem(), and stops nobody.
class BroadcastIds {
 public:
  using UnixMs = std::function<std::uint64_t()>;

  // Makes the directory where it is missing, reads the file and reserves a block. Refuses only a
  // directory that another broker uses: two of them would give out the same ids. `worker` and
  // `log` must outlive it.
  [[nodiscard]] static OpenedIds open(const asio::any_io_executor& loop, Worker& worker,
                                      std::filesystem::path directory, Log& log, UnixMs unix_ms);
  // What a crash leaves, unless close() came before.
  ~BroadcastIds();
  BroadcastIds(const BroadcastIds&) = delete;
  BroadcastIds& operator=(const BroadcastIds&) = delete;

  [[nodiscard]] BroadcastId next();
  [[nodiscard]] BroadcastId first_ever() const noexcept;
  // What next() gave first, or would give: smaller ids are from before this start.
  [[nodiscard]] BroadcastId next_at_start() const noexcept;
  // Whether a mark above every id that next() gave is on disk.
  [[nodiscard]] bool last_is_durable() const noexcept;
  // Why ids cannot be made durable now; empty when all is well. A sentence.
  [[nodiscard]] const std::string& problem() const noexcept;
  // Whether an earlier broker left its ids in the directory.
  [[nodiscard]] bool had_predecessor() const noexcept;
  // What became of the directory: still ours; ours again, with the ids written anew; or used by
  // another broker since it was deleted, so that nothing of ours may be written there.
  enum class Place { kOurs, kDeleted, kTaken };
  // Looks, on the worker, and says what it found, unless a write is under way.
  void check(std::function<void(Place)> found);
  // Arms nothing any more: the loop may end.
  void stop();
  // Writes down the exact next id; nothing is given out after that. Waits for the worker, and so
  // for all that it was given before. False: that took longer than `patience`.
  bool close(std::chrono::milliseconds patience);

 private:
  struct State;
  explicit BroadcastIds(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

struct OpenedIds {
  std::unique_ptr<BroadcastIds> ids;  // set when problem is empty
  std::string problem;                // a sentence
};

}  // namespace muster::daemon
