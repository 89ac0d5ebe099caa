#include "musterd/state/broadcast_ids.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "muster/path.h"

#include "musterd/state/durable_file.h"
#include "os/place_lock.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

constexpr std::string_view kHead = "muster broadcast ids 1\nfirst ";
constexpr std::string_view kMiddle = "\nnext ";
// A mark so high that counting on from it could overflow is no mark of ours.
constexpr BroadcastId kHighest = BroadcastId{1} << 62U;

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

bool take(std::string_view& text, BroadcastId& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string format_mark(IdMark mark) {
  return fmt::format("{}{}{}{}\n", kHead, mark.first, kMiddle, mark.next);
}

std::optional<IdMark> parse_mark(std::string_view text) {
  IdMark mark;
  const bool good = take(text, kHead) && take(text, mark.first) && take(text, kMiddle) &&
                    take(text, mark.next) && text == "\n";
  if (!good || mark.first == 0 || mark.first > mark.next || mark.next > kHighest) {
    return std::nullopt;
  }
  return mark;
}

ReadMark read_mark(const std::filesystem::path& directory) {
  const auto path = directory / kIdFileName;
  // Not waiting: whatever stands there, it may not hold up the start.
  const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return {};
    return {std::nullopt, failed_to("cannot be read", errno)};
  }
  std::array<char, 256> text{};
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return {std::nullopt, failed_to("cannot be read", errno)};
  const auto mark = parse_mark({text.data(), static_cast<std::size_t>(got)});
  if (!mark) return {std::nullopt, "is damaged"};
  return {mark, {}};
}

std::string write_mark(const std::filesystem::path& directory, IdMark mark) {
  return replace_durably(directory, std::string(kIdFileName), format_mark(mark)).problem;
}

namespace {

BroadcastId range_of(std::uint64_t unix_ms) { return unix_ms * IdAllocator::kIdsOfAMillisecond; }

}  // namespace

IdAllocator::IdAllocator(std::optional<IdMark> mark, bool mark_was_lost, std::uint64_t unix_ms)
    // Never 0: that is no broadcast.
    : next_(std::max({mark ? mark->next : BroadcastId{1}, BroadcastId{unix_ms / 1000},
                      mark_was_lost ? range_of(unix_ms) : BroadcastId{1}})),
      reserved_(next_) {
  first_ = mark ? mark->first : next_;
}

IdAllocator::Taken IdAllocator::take(std::uint64_t unix_ms) {
  const bool covered = next_ < reserved_;
  if (!covered) next_ = std::max(next_, range_of(unix_ms));
  return {next_++, covered};
}

std::optional<IdMark> IdAllocator::reserve() {
  if (under_way_ || next_ + (kBlock - kAskAfter) < reserved_) return std::nullopt;
  under_way_ = true;
  return IdMark{first_, next_ + kBlock};
}

void IdAllocator::reserved(IdMark mark) {
  under_way_ = false;
  // One that is below what was given out meanwhile covers nothing.
  reserved_ = std::max(reserved_, mark.next);
}

void IdAllocator::reservation_failed() { under_way_ = false; }

namespace {

constexpr std::chrono::seconds kRetryMarkAfter{1};

}  // namespace

struct BroadcastIds::State : std::enable_shared_from_this<BroadcastIds::State> {
  State(const asio::any_io_executor& loop, Worker& worker_of, std::filesystem::path where,
        Log& log_to, const ReadMark& read, UnixMs clock)
      : worker(worker_of),
        retry(loop),
        directory(std::move(where)),
        file(escape_bytes((directory / kIdFileName).native())),
        log(log_to),
        unix_ms(std::move(clock)),
        allocator(read.mark, !read.problem.empty(), unix_ms()),
        next_at_start(allocator.next()) {}

  BroadcastId take() {
    const auto [id, is_covered] = allocator.take(unix_ms());
    covered = is_covered;
    // A disk that fails is tried by the timer, not for every broadcast.
    if (problem.empty()) reserve_ahead();
    if (!covered && problem.empty()) {
      tell("the disk has not taken the next " + std::to_string(IdAllocator::kBlock) + " ids yet");
    }
    return id;
  }

  // Asks the worker for the next block, if it is time.
  void reserve_ahead() {
    const auto mark = allocator.reserve();
    if (!mark) return;
    const auto failed = std::make_shared<std::string>("cannot be written: no memory");
    const bool taken = worker.run(
        [failed, directory = directory, mark = *mark] { *failed = write_mark(directory, mark); },
        [failed, mark = *mark, self = weak_from_this()](bool) {
          if (const auto state = self.lock()) state->finished(mark, *failed);
        });
    if (!taken) finished(*mark, "cannot be written: no thread is free for it");
  }

  void finished(IdMark mark, const std::string& failed) {
    if (failed.empty()) {
      allocator.reserved(mark);
      covered = mark.next >= allocator.next();
      tell({});
      return reserve_ahead();
    }
    allocator.reservation_failed();
    tell(failed);
    if (stopped) return;
    retry.expires_after(kRetryMarkAfter);
    retry.async_wait([self = weak_from_this()](std::error_code error) {
      const auto state = self.lock();
      if (!error && state) state->reserve_ahead();
    });
  }

  // Whoever deletes the directory takes its lock along: another broker may have a new one.
  void check(std::function<void(BroadcastIds::Place)> found) {
    if (place) place.let_go_of_others();
    if (stopped || allocator.is_reserving()) return;
    struct Look {
      BroadcastIds::Place place = BroadcastIds::Place::kOurs;
      os::UniqueFd lock;
    };
    const auto look = std::make_shared<Look>();
    const auto work = [look, directory = directory, old = lock.get()] {
      struct stat is {};
      struct stat was {};
      const bool same_directory = ::stat(directory.c_str(), &is) == 0 && ::fstat(old, &was) == 0 &&
                                  is.st_dev == was.st_dev && is.st_ino == was.st_ino;
      if (same_directory && ::access((directory / kIdFileName).c_str(), F_OK) == 0) return;
      look->place = BroadcastIds::Place::kDeleted;
      if (same_directory || !make_private_directory(directory).empty()) return;
      os::UniqueFd fresh(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!fresh) return;
      if (::flock(fresh.get(), LOCK_EX | LOCK_NB) == 0) {
        look->lock = std::move(fresh);
      } else if (errno == EWOULDBLOCK) {
        look->place = BroadcastIds::Place::kTaken;
      }
    };
    (void)worker.run(work, [self = weak_from_this(), look, found = std::move(found)](bool) {
      const auto state = self.lock();
      if (!state || state->stopped) return;
      if (look->lock) state->lock = std::move(look->lock);
      if (look->place == BroadcastIds::Place::kDeleted) {
        state->log.warning("the broadcast ids were deleted, writing them again",
                           {{"file", state->file}});
        state->allocator.mark_is_gone();
        state->reserve_ahead();
      }
      found(look->place);
    });
  }

  // Once when it begins to fail, once when it is over.
  void tell(const std::string& now) {
    const bool changed = now.empty() != problem.empty();
    problem = now.empty() ? now
                          : "broadcast ids cannot be written: " + file + ' ' + now +
                                ": make room or repair the disk";
    if (!changed) return;
    if (now.empty()) return log.info("broadcast ids can be written again", {{"file", file}});
    log.warning(
        "cannot write broadcast ids: when the reserved ones are used up, ids come from the clock "
        "and are not durable",
        {{"file", file}, {"why", now}});
  }

  Worker& worker;
  asio::steady_timer retry;
  std::filesystem::path directory;
  std::string file;
  Log& log;
  UnixMs unix_ms;
  IdAllocator allocator;
  BroadcastId next_at_start;
  os::UniqueFd lock;
  os::PlaceLock place;
  std::string problem;
  bool covered = true;
  bool had_predecessor = false;
  bool stopped = false;
};

OpenedIds BroadcastIds::open(const asio::any_io_executor& loop, Worker& worker,
                             std::filesystem::path directory, Log& log, UnixMs unix_ms) {
  const std::string shown = escape_bytes(directory.native());
  const auto shared_with = [&shown](const std::string& holder) {
    return OpenedIds{nullptr, "another broker" + holder + " keeps its state in " + shown +
                                  ": two of them would give out the same broadcast ids; choose "
                                  "another directory with --state-dir"};
  };
  // First, as the one who has it may be about to make it again. Without a directory there is
  // nothing to share.
  os::PlaceLock::Result place;
  if (!directory.empty()) place = os::PlaceLock::take(directory, os::PlaceLock::Use::kState);
  if (place.holder) return shared_with(os::in_parentheses(*place.holder));
  if (!place.warning.empty()) log.warning(place.warning);
  std::string problem = make_private_directory(directory);
  os::UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return shared_with({});
  }
  ReadMark read;
  if (problem.empty()) {
    read = read_mark(directory);
  } else {
    read.problem = problem;  // there may be a mark that nobody can see
  }
  auto state =
      std::make_shared<State>(loop, worker, std::move(directory), log, read, std::move(unix_ms));
  state->lock = std::move(lock);
  if (problem.empty()) state->place = std::move(place.lock);
  state->had_predecessor = read.mark || (problem.empty() && !read.problem.empty());
  if (!read.problem.empty() && problem.empty()) {
    log.warning("id file unusable: new broadcast ids are made from the clock",
                {{"file", state->file}, {"why", read.problem}});
  }
  // On disk before anything is given out: the one write that the start waits for.
  if (const auto mark = state->allocator.reserve()) {
    if (problem.empty()) problem = write_mark(state->directory, *mark);
    state->finished(*mark, problem);
  }
  return {std::unique_ptr<BroadcastIds>(new BroadcastIds(std::move(state))), {}};
}

BroadcastIds::BroadcastIds(std::shared_ptr<State> state) : state_(std::move(state)) {}

BroadcastIds::~BroadcastIds() = default;

BroadcastId BroadcastIds::next() { return state_->take(); }

BroadcastId BroadcastIds::first_ever() const noexcept { return state_->allocator.first(); }

BroadcastId BroadcastIds::next_at_start() const noexcept { return state_->next_at_start; }

bool BroadcastIds::last_is_durable() const noexcept { return state_->covered; }

const std::string& BroadcastIds::problem() const noexcept { return state_->problem; }

bool BroadcastIds::had_predecessor() const noexcept { return state_->had_predecessor; }

void BroadcastIds::check(std::function<void(Place)> found) { state_->check(std::move(found)); }

void BroadcastIds::stop() {
  state_->stopped = true;
  state_->retry.cancel();
}

bool BroadcastIds::close(std::chrono::milliseconds patience) {
  stop();
  const auto failed = std::make_shared<std::string>("cannot be written: the disk does not answer");
  // Behind what the worker has of it already. Without a thread there is nobody to race with.
  const auto write = [failed, directory = state_->directory, mark = state_->allocator.exact()] {
    *failed = write_mark(directory, mark);
  };
  if (state_->worker.run_and_wait(write, patience)) {
    state_->tell(*failed);
    return true;
  }
  state_->tell("cannot be written: the disk does not answer");
  return false;
}

}  // namespace muster::daemon
