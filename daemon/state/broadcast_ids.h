// Broadcast ids that are unique for the life of the host: an IdAllocator and its file.
//
// The loop's thread; the file is written by a thread of its own, so that a slow disk does not hold
// up a broadcast. What cannot be read or written is logged and stops nobody.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <asio/any_io_executor.hpp>

#include "muster/registration.h"

#include "log/log.h"

namespace muster::daemon {

struct OpenedIds;

class BroadcastIds {
 public:
  // Makes the directory where it is missing and reads the file. Refuses only a directory that
  // another broker uses: two of them would give out the same ids. `log` must outlive it, and
  // `loop` must not run after it is gone.
  [[nodiscard]] static OpenedIds open(const asio::any_io_executor& loop,
                                      std::filesystem::path directory, Log& log,
                                      std::uint64_t unix_seconds);
  // close(), without the exact mark: what a crash leaves.
  ~BroadcastIds();
  BroadcastIds(const BroadcastIds&) = delete;
  BroadcastIds& operator=(const BroadcastIds&) = delete;

  [[nodiscard]] BroadcastId next();
  [[nodiscard]] BroadcastId first_ever() const noexcept;
  // What next() gave first, or would give: smaller ids are from before this start.
  [[nodiscard]] BroadcastId next_at_start() const noexcept;
  // Writes down the exact next id; nothing is given out after that.
  void close();

 private:
  struct State;
  explicit BroadcastIds(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct OpenedIds {
  std::unique_ptr<BroadcastIds> ids;  // set when problem is empty
  std::string problem;                // a sentence
};

}  // namespace muster::daemon
