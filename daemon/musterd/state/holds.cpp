#include "musterd/state/holds.h"

#include <cerrno>
#include <cstdio>
#include <exception>
#include <utility>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "muster/path.h"

#include "musterd/state/durable_file.h"
#include "musterd/state/journal.h"

namespace muster::daemon {
namespace {

constexpr std::uint64_t kHoldRecord = 1;
constexpr std::uint64_t kReleaseHold = 1;
constexpr std::uint64_t kQuiesceHold = 2;
constexpr std::uint64_t kMostSelectors = 4096;

void put_operation(std::string& out, const BroadcastOperation& operation) {
  if (const auto* release = operation.as_release_handles()) {
    put_number(out, kReleaseHold);
    put_text(out, release->path_prefix);
    put_text(out, release->alias);
  } else {
    const auto* quiesce = operation.as_quiesce();
    put_number(out, kQuiesceHold);
    put_number(out, static_cast<std::uint64_t>(quiesce == nullptr ? QuiesceReason::kMaintenance
                                                                  : quiesce->reason));
  }
}

std::optional<BroadcastOperation> take_operation(RecordReader& reader) {
  const std::uint64_t kind = reader.number();
  if (kind == kReleaseHold) {
    std::string path(reader.text());
    std::string alias(reader.text());
    if (path.empty()) return std::nullopt;
    return BroadcastOperation::release_handles(std::move(path), std::move(alias));
  }
  const std::uint64_t reason = reader.number();
  if (kind != kQuiesceHold || reason > static_cast<std::uint64_t>(QuiesceReason::kMaintenance)) {
    return std::nullopt;
  }
  return BroadcastOperation::quiesce(static_cast<QuiesceReason>(reason));
}

void put_selection(std::string& out, const Selection& selection) {
  put_number(out, selection.size());
  for (const Selector& selector : selection) {
    put_number(out, selector.terms().size());
    for (const SelectorTerm& term : selector.terms()) {
      put_text(out, term.field);
      put_text(out, term.glob);
    }
  }
}

std::optional<Selection> take_selection(RecordReader& reader) {
  Selection selection;
  const std::uint64_t selectors = reader.number();
  if (selectors > kMostSelectors) return std::nullopt;
  for (std::uint64_t i = 0; i < selectors && reader.good(); ++i) {
    std::vector<SelectorTerm> terms;
    const std::uint64_t count = reader.number();
    if (count > Selector::kMaxTerms) return std::nullopt;
    for (std::uint64_t term = 0; term < count && reader.good(); ++term) {
      std::string field(reader.text());
      terms.push_back({std::move(field), std::string(reader.text())});
    }
    Selector::Parsed parsed = Selector::from_terms(std::move(terms));
    if (!parsed.problem.empty()) return std::nullopt;
    selection.push_back(std::move(parsed.selector));
  }
  return selection;
}

}  // namespace

std::string encode_hold(const core::KeptHold& hold) {
  std::string record;
  put_number(record, kHoldRecord);
  put_number(record, hold.id);
  put_operation(record, hold.operation);
  put_selection(record, hold.selection);
  put_number(record, hold.asked_by ? 1 : 0);
  if (hold.asked_by) {
    put_number(record, hold.asked_by->uid);
    put_number(record, static_cast<std::uint64_t>(hold.asked_by->pid));
    put_text(record, hold.asked_by->command);
  }
  put_number(record, hold.leased ? 1 : 0);
  put_number(record, hold.since_unix_ms);
  put_number(record, hold.expires_unix_ms);
  put_number(record, hold.verify ? 1 : 0);
  put_number(record, hold.mount_namespace);
  put_number(record, hold.violations);
  return record;
}

std::optional<core::KeptHold> decode_hold(std::string_view record) {
  RecordReader reader(record);
  core::KeptHold hold;
  if (reader.number() != kHoldRecord) return std::nullopt;
  hold.id = reader.number();
  auto operation = take_operation(reader);
  auto selection = take_selection(reader);
  if (!operation || !selection) return std::nullopt;
  hold.operation = *std::move(operation);
  hold.selection = *std::move(selection);
  bool is_good = true;
  const auto flag = [&] {
    const std::uint64_t value = reader.number();
    is_good = is_good && value <= 1;
    return value == 1;
  };
  if (flag()) {
    Operator& who = hold.asked_by.emplace();
    who.uid = static_cast<uid_t>(reader.number());
    who.pid = static_cast<pid_t>(reader.number());
    who.command = reader.text();
  }
  hold.leased = flag();
  hold.since_unix_ms = reader.number();
  hold.expires_unix_ms = reader.number();
  hold.verify = flag();
  hold.mount_namespace = reader.number();
  hold.violations = reader.number();
  if (!is_good || !reader.at_end() || hold.id == 0) return std::nullopt;
  return hold;
}

struct HoldStore::State : std::enable_shared_from_this<HoldStore::State> {
  // One who waits for what was changed before.
  struct Waiter {
    Waiter(const asio::any_io_executor& loop, std::function<void()> then)
        : patience(loop), done(std::move(then)) {}
    asio::steady_timer patience;  // cancelled: it is on disk, or cannot be
    std::function<void()> done;
  };
  using Waiters = std::vector<std::shared_ptr<Waiter>>;

  State(asio::any_io_executor executor, Worker& worker_of, const std::filesystem::path& where,
        Log& log_of)
      : loop(std::move(executor)),
        worker(worker_of),
        log(log_of),
        directory(where),
        file(std::make_shared<JournalFile>(where, kHoldsFileName)),
        name(escape_bytes((where / kHoldsFileName).native())) {}

  void read() {
    JournalContent content = file->open();
    std::string damage = content.problem;
    is_empty = content.records.empty();
    if (damage.empty() && content.cut_bytes != 0) damage = "is cut off";
    for (const std::string& record : content.records) {
      if (auto hold = decode_hold(record)) {
        loaded.push_back(*std::move(hold));
      } else if (damage.empty()) {
        damage = "is damaged, or of a newer version";
      }
    }
    if (damage.empty()) return;
    const auto path = directory / kHoldsFileName;
    const auto aside = directory / kDamagedHoldsName;
    std::string kept;
    if (std::rename(path.c_str(), aside.c_str()) == 0) {
      kept = " (kept as " + escape_bytes(aside.native()) + ")";
      is_dirty = true;  // those that could be read
    } else {
      kept = failed_to(" (which cannot be kept: it", errno) + ")";
    }
    lost = "holds may be lost: " + name + ' ' + damage + kept +
           ": backends of holds that are missing in `musterctl hold list` take their files again";
    log.error("holds of before this start may be lost", {{"file", name}, {"why", damage + kept}});
  }

  void changed() noexcept {
    is_dirty = true;
    write_later();
  }

  // Not from inside the core, which is asked then. What cannot be scheduled for want of memory
  // check() does.
  void write_later() noexcept {
    if (is_posted || is_writing || is_closed) return;
    try {
      asio::post(loop, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->is_posted = false;
        if (!self->is_closed) self->write();
      });
      is_posted = true;
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): see above
    }
  }

  void write() {
    if (is_writing || !is_dirty || !source) return;
    std::string bytes;
    for (const core::KeptHold& hold : source()) bytes += frame_record(encode_hold(hold));
    if (is_empty && bytes.empty()) {  // as it is on disk
      is_dirty = false;
      return tell(std::exchange(waiting, {}));
    }
    is_empty = false;
    const auto problem_of = std::make_shared<std::string>("cannot be written: no memory");
    is_dirty = false;
    wrote_none = bytes.empty();
    told = std::exchange(waiting, {});
    is_writing = worker.run(
        [file = file, problem_of, bytes = std::move(bytes)] { *problem_of = file->replace(bytes); },
        [problem_of, weak = weak_from_this()](bool) {
          const auto self = weak.lock();
          if (self) self->written(*problem_of);
        });
    if (is_writing) return;
    written("cannot be written: no thread is free for it");
  }

  void written(const std::string& problem) {
    is_writing = false;
    is_late = false;
    const bool was_well = unwritten.empty();
    unwritten = problem;
    is_empty = problem.empty() && wrote_none;
    tell(std::exchange(told, {}));
    if (problem.empty() && !was_well) log.info("holds can be written again", {{"file", name}});
    if (!problem.empty()) {
      is_dirty = true;  // check() tries again
      tell(std::exchange(waiting, {}));
      if (was_well) {
        log.warning("cannot write holds: a restart of the broker ends them",
                    {{"file", name}, {"why", problem}});
      }
      return;
    }
    if (is_dirty) write_later();
  }

  static void tell(const Waiters& waiters) {
    for (const auto& waiter : waiters) waiter->patience.cancel();
  }

  // What may change in this turn is in it, too.
  void wait(const std::shared_ptr<Waiter>& waiter) {
    waiter->patience.expires_after(kPatience);
    waiter->patience.async_wait([waiter, weak = weak_from_this()](std::error_code error) {
      const auto self = weak.lock();
      if (self && !error) self->is_late = true;
      waiter->done();
    });
    if (!source || is_closed || (!is_dirty && !is_writing)) {
      waiter->patience.cancel();
    } else if (is_dirty) {
      waiting.push_back(waiter);
      write_later();
    } else {
      told.push_back(waiter);
    }
  }

  void check() {
    if (is_closed || is_writing || !source) return;
    if (is_dirty) return write_later();
    if (is_empty) return;
    const auto is_there = std::make_shared<bool>(true);
    (void)worker.run([file = file, is_there] { *is_there = file->is_in_place(); },
                     [is_there, weak = weak_from_this()](bool) {
                       const auto self = weak.lock();
                       if (self && !*is_there) self->changed();
                     });
  }

  asio::any_io_executor loop;
  Worker& worker;
  Log& log;
  const std::filesystem::path directory;
  const std::shared_ptr<JournalFile> file;  // of the worker, but for read()
  const std::string name;
  std::vector<core::KeptHold> loaded;
  Source source;
  std::string lost;       // what is wrong with the file of before; a sentence
  std::string unwritten;  // why the last write failed; a sentence's end
  Waiters waiting;        // for the next write
  Waiters told;           // for the one that is under way
  bool is_dirty = false;
  bool is_posted = false;
  bool is_writing = false;
  bool is_late = false;
  bool is_empty = true;  // there is nothing on disk
  bool wrote_none = false;
  bool is_closed = false;
};

HoldStore::HoldStore(const asio::any_io_executor& loop, Worker& worker,
                     const std::filesystem::path& directory, Log& log)
    : state_(std::make_shared<State>(loop, worker, directory, log)) {
  state_->read();
}

HoldStore::~HoldStore() = default;

std::vector<core::KeptHold> HoldStore::load() { return std::exchange(state_->loaded, {}); }

void HoldStore::keep(Source source) {
  state_->source = std::move(source);
  state_->changed();
}

void HoldStore::changed() noexcept { state_->changed(); }

void HoldStore::when_written(std::function<void()> done) {
  const auto waiter = std::make_shared<State::Waiter>(state_->loop, std::move(done));
  asio::post(state_->loop, [waiter, state = state_] { state->wait(waiter); });
}

std::string HoldStore::problem() const {
  std::string why = state_->unwritten;
  if (why.empty() && state_->is_late) why = "cannot be written: the disk does not answer";
  if (why.empty()) return state_->lost;
  return "a restart of the broker ends holds: " + state_->name + ' ' + why +
         ": make room or repair the disk";
}

void HoldStore::check() { state_->check(); }

void HoldStore::close() {
  if (std::exchange(state_->is_closed, true)) return;
  for (auto* waiters : {&state_->waiting, &state_->told}) {
    State::tell(std::exchange(*waiters, {}));
  }
  if (!state_->is_dirty || !state_->source) return;
  std::string bytes;
  for (const core::KeptHold& hold : state_->source()) bytes += frame_record(encode_hold(hold));
  (void)state_->worker.run(
      [file = state_->file, bytes = std::move(bytes)] { (void)file->replace(bytes); });
}

}  // namespace muster::daemon
