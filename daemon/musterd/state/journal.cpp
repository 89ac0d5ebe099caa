#include "musterd/state/journal.h"

#include <chrono>
#include <utility>

#include <asio/steady_timer.hpp>

namespace muster::daemon {
namespace {

constexpr std::chrono::seconds kRetryJournalAfter{1};

}  // namespace

struct Journal::State : std::enable_shared_from_this<Journal::State> {
  State(const asio::any_io_executor& loop, Worker& worker_of, JournalFile opened, Owner owner_of,
        bool write_anew)
      : worker(worker_of),
        file(std::make_shared<JournalFile>(std::move(opened))),
        owner(std::move(owner_of)),
        retry(loop),
        anew(write_anew),
        size(file->size()),
        size_when_new(file->size()) {}

  struct Outcome {
    std::string problem;
    std::uint64_t size = 0;
  };

  [[nodiscard]] bool must_be_written_anew() const {
    return anew || size + pending.size() > 2 * size_when_new + kSlack;
  }

  [[nodiscard]] std::string everything() const {
    std::string framed;
    for (const std::string& payload : owner.snapshot()) framed += frame_record(payload);
    return framed;
  }

  void flush() {
    if (under_way || closed || (pending.empty() && !anew)) return;
    const bool whole = must_be_written_anew();
    std::string bytes = whole ? everything() : std::move(pending);
    pending.clear();
    if (whole) anew = false;
    waiting = std::exchange(asked, {});
    const auto outcome = std::make_shared<Outcome>();
    outcome->problem = "cannot be written: no memory";
    under_way = true;
    const bool taken = worker.run(
        [file = file, outcome, whole, bytes = std::move(bytes)] {
          outcome->problem = whole ? file->replace(bytes) : file->append(bytes);
          outcome->size = file->size();
        },
        [self = weak_from_this(), outcome, whole](bool) {
          if (const auto state = self.lock()) state->written(*outcome, whole);
        });
    if (taken) return;
    outcome->problem = "cannot be written: no thread is free for it";
    written(*outcome, whole);
  }

  void written(const Outcome& outcome, bool whole) {
    under_way = false;
    const bool durable = outcome.problem.empty();
    if (!durable) anew = true;
    if (durable) {
      size = outcome.size;
      if (whole) size_when_new = size;
    }
    tell(outcome.problem);
    for (const Durable& done : std::exchange(waiting, {})) done(durable);
    if (durable) return flush();
    if (closed) return;
    retry.expires_after(kRetryJournalAfter);
    retry.async_wait([self = weak_from_this()](std::error_code error) {
      const auto state = self.lock();
      if (!error && state) state->flush();
    });
  }

  void tell(const std::string& now) {
    const bool changed = now.empty() != problem.empty();
    problem = now;
    if (changed && owner.health) owner.health(problem);
  }

  Worker& worker;
  std::shared_ptr<JournalFile> file;  // the worker's, after the constructor
  Owner owner;
  asio::steady_timer retry;
  bool anew;  // what was written may be missing from the file
  std::uint64_t size;
  std::uint64_t size_when_new;
  std::string pending;  // framed
  std::vector<Durable> asked;
  std::vector<Durable> waiting;  // of what is under way
  std::string problem;
  bool under_way = false;
  bool closed = false;
};

Journal::Journal(const asio::any_io_executor& loop, Worker& worker, JournalFile file, Owner owner,
                 bool anew)
    : state_(std::make_shared<State>(loop, worker, std::move(file), std::move(owner), anew)) {
  if (!anew) return;
  // At once, so that nothing is opened later and the start knows what the disk is like.
  State::Outcome outcome;
  state_->anew = false;
  outcome.problem = state_->file->replace(state_->everything());
  outcome.size = state_->file->size();
  state_->written(outcome, true);
}

Journal::~Journal() = default;

void Journal::append(std::string_view payload, Durable done) {
  State& state = *state_;
  if (state.closed || state.pending.size() + payload.size() > kMaxPendingBytes) {
    state.anew = true;
    state.pending.clear();
    if (done) done(false);
    return;
  }
  state.pending += frame_record(payload);
  if (done) state.asked.push_back(std::move(done));
  // While the disk fails, the next try is the timer's.
  if (state.problem.empty()) {
    state.flush();
  } else {
    for (const Durable& waits : std::exchange(state.asked, {})) waits(false);
  }
}

void Journal::close() {
  State& state = *state_;
  if (std::exchange(state.closed, true)) return;
  state.retry.cancel();
  (void)state.worker.run(
      [file = state.file, bytes = state.everything()] { (void)file->replace(bytes); });
}

const std::string& Journal::problem() const noexcept { return state_->problem; }

}  // namespace muster::daemon
