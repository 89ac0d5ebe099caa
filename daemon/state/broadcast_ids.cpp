#include "state/broadcast_ids.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <utility>

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>

#include "muster/path.h"

#include "os/unique_fd.h"
#include "state/id_allocator.h"
#include "state/id_mark.h"
#include "state/private_directory.h"

namespace muster::daemon {

struct BroadcastIds::State {
  State(asio::any_io_executor loop_of, std::filesystem::path where, Log& log_to,
        std::optional<IdMark> mark, std::uint64_t unix_seconds)
      : loop(std::move(loop_of)),
        directory(std::move(where)),
        file(escape_bytes((directory / kIdFileName).native())),
        log(log_to),
        allocator(mark, unix_seconds),
        next_at_start(allocator.next()) {}

  // Asks the writer for the next block, if it is time.
  void reserve_ahead() {
    const auto mark = allocator.reserve();
    if (!mark) return;
    try {
      if (!writer) writer.emplace(1);
      asio::post(*writer, [this, mark = *mark, token = std::weak_ptr<int>(alive)] {
        std::string problem = write_mark(directory, mark, Durability::kHost);
        asio::post(loop, [this, mark, token, problem = std::move(problem)] {
          if (!token.expired()) finished(mark, problem);
        });
      });
    } catch (const std::exception& error) {  // no thread to be had
      finished(*mark, error.what());
    }
  }

  void join() {
    if (writer) writer->join();
  }

  void finished(IdMark mark, const std::string& problem) {
    if (problem.empty()) {
      allocator.reserved(mark);
    } else {
      allocator.reservation_failed();
    }
    tell(problem);
    reserve_ahead();
  }

  // Once when it begins to fail, once when it is over.
  void tell(const std::string& problem) {
    if (!problem.empty() && !failing) {
      log.warning(
          "broadcast ids cannot be written down; they stay unique while fewer than one broadcast a "
          "second is started",
          {{"file", file}, {"why", problem}});
    } else if (problem.empty() && failing) {
      log.info("broadcast ids are written down again", {{"file", file}});
    }
    failing = !problem.empty();
  }

  asio::any_io_executor loop;
  std::filesystem::path directory;
  std::string file;
  Log& log;
  IdAllocator allocator;
  BroadcastId next_at_start;
  os::UniqueFd lock;
  bool failing = false;
  std::shared_ptr<int> alive = std::make_shared<int>(0);
  std::optional<asio::thread_pool> writer;  // made when there is something to write
};

OpenedIds BroadcastIds::open(const asio::any_io_executor& loop, std::filesystem::path directory,
                             Log& log, std::uint64_t unix_seconds) {
  const std::string shown = escape_bytes(directory.native());
  std::string problem = make_private_directory(directory);
  os::UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return {nullptr, "another broker keeps its state in " + shown +
                         ": two of them would give out the same broadcast ids; choose another "
                         "directory with --state-dir"};
  }
  ReadMark read;
  if (problem.empty()) read = read_mark(directory);
  auto state = std::make_unique<State>(loop, std::move(directory), log, read.mark, unix_seconds);
  state->lock = std::move(lock);
  if (!read.problem.empty()) {
    log.warning("broadcast ids go on from the clock: the file with the last one is of no use",
                {{"file", state->file}, {"why", read.problem}});
  }
  // The first block before anything is given out, but without waiting for the disk (the first id
  // does, on the writer's thread): should the host go down until then, it is away for longer than
  // the second that an id is worth.
  if (const auto mark = state->allocator.reserve()) {
    if (problem.empty()) problem = write_mark(state->directory, *mark, Durability::kProcess);
    if (problem.empty()) {
      state->allocator.reserved_for_now();
    } else {
      state->allocator.reservation_failed();
    }
    state->tell(problem);
  }
  return {std::unique_ptr<BroadcastIds>(new BroadcastIds(std::move(state))), {}};
}

BroadcastIds::BroadcastIds(std::unique_ptr<State> state) : state_(std::move(state)) {}

BroadcastIds::~BroadcastIds() { state_->join(); }

BroadcastId BroadcastIds::next() {
  const BroadcastId id = state_->allocator.take();
  state_->reserve_ahead();
  return id;
}

BroadcastId BroadcastIds::first_ever() const noexcept { return state_->allocator.first(); }

BroadcastId BroadcastIds::next_at_start() const noexcept { return state_->next_at_start; }

void BroadcastIds::close() {
  state_->join();
  state_->tell(write_mark(state_->directory, state_->allocator.exact(), Durability::kHost));
}

}  // namespace muster::daemon
