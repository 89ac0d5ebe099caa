// Gives out broadcast ids. No file, no thread, no clock: what is written down is somebody else's
// affair (state/broadcast_ids.h).
//
// The next id after a start is the mark that was written down or the seconds since 1970, whichever
// is more; then it counts up by one. Ids are reserved in blocks: the mark that is written down lies
// ahead of what is given out, so that a crash loses numbers and repeats none. Where the mark cannot
// be written (a full disk) ids are given out all the same: the clock then keeps them unique, as
// long as fewer than one broadcast a second was started on average since the start.
#pragma once

#include <cstdint>
#include <optional>

#include "state/id_mark.h"

namespace muster::daemon {

class IdAllocator {
 public:
  static constexpr BroadcastId kBlock = 1024;

  IdAllocator(std::optional<IdMark> mark, std::uint64_t unix_seconds);

  BroadcastId take();
  // The first id ever. Ids below it were never given out.
  [[nodiscard]] BroadcastId first() const noexcept { return first_; }
  [[nodiscard]] BroadcastId next() const noexcept { return next_; }
  // What would be true if it stood in the file now and nothing were reserved.
  [[nodiscard]] IdMark exact() const noexcept { return {first_, next_}; }

  // The mark to write down now; nothing while enough is reserved, or one is on its way.
  [[nodiscard]] std::optional<IdMark> reserve();
  // What became of the last reserve(): it is written down; or it could not be, and is asked for
  // again when a few more ids were given out; or it is, but should be with the next id once more.
  void reserved(IdMark mark);
  void reservation_failed();
  void reserved_for_now();

 private:
  BroadcastId first_;
  BroadcastId next_;
  BroadcastId reserved_;   // below it, ids may be given out
  BroadcastId ask_again_;  // not before this id
  bool under_way_ = false;
};

}  // namespace muster::daemon
