// Broadcast ids that are unique for the life of the host: an IdAllocator and its file.
//
// The loop's thread. The first block is on disk before open() returns; later ones are written by
// the worker, so that a slow disk does not hold up a broadcast. What cannot be read or written is
// logged, stands in problem(), and stops nobody.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <asio/any_io_executor.hpp>

#include "muster/registration.h"

#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"

namespace muster::daemon {

struct OpenedIds;

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
  // Arms nothing any more: the loop may end.
  void stop();
  // Writes down the exact next id; nothing is given out after that.
  void close();

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
