// Gives out broadcast ids. No file, no thread, no clock: what is written down is somebody else's
// affair (state/broadcast_ids.h).
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
#pragma once

#include <cstdint>
#include <optional>

#include "musterd/state/id_mark.h"

namespace muster::daemon {

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

 private:
  BroadcastId first_;
  BroadcastId next_;
  BroadcastId reserved_;  // ids below it are covered
  bool under_way_ = false;
};

}  // namespace muster::daemon
