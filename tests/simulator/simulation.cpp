// A simulation of its own: what a step does in it, and what processes do.
#include "simulator/simulation.h"

#include <algorithm>

#include "simulator/forms.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

// When a run begins: long after the host did.
constexpr auto kUptime = std::chrono::hours(1000);
constexpr std::int64_t kEpochMs = 1'750'000'000'000;

}  // namespace

Simulation::Simulation(const Knobs& knobs, Fault fault)
    : knobs_(knobs),
      fault_(std::move(fault)),
      now_(kUptime),
      wall_offset_ms_(kEpochMs),
      shell_(static_cast<std::size_t>(knobs.queue), [this](const Event& e) { on_event(e); }) {
  shell_.at_least_id(static_cast<BroadcastId>(knobs_.first_id));
  if (is_wrong(WrongTransition::kEndIsLost)) shell_.sends_of_hold_ends = 0;
  if (is_wrong(WrongTransition::kEndIsToldTwice)) shell_.sends_of_hold_ends = 2;
  start_broker();
}

core::Now Simulation::at() const {
  const auto ms = std::chrono::duration_cast<milliseconds>(now_.time_since_epoch()).count();
  return {now_, static_cast<std::uint64_t>(std::max<std::int64_t>(ms + wall_offset_ms_, 0))};
}

void Simulation::start_broker() {
  auto config = config_of(knobs_);
  config.next_id_at_start = shell_.next_id();
  config.started_unix_ms = at().unix_ms;
  if (fault_.config) fault_.config(config);
  oracle_ = std::make_unique<Oracle>(knobs_, shell_.next_id(), cases_);
  oracle_->watched = shell_.watched;
  config_ = std::move(config);
  broker_ = std::make_unique<core::Broker>(config_, shell_);
}

// What the core would be if it took the ack of a preflight for that of a quiesce.
void Simulation::quiesce_who_would(core::SavedState& saved) const {
  for (const auto& [id, cast] : oracle_->casts()) {
    const auto* quiesce = cast.operation.is_preflight() ? cast.operation.about_quiesce() : nullptr;
    if (quiesce == nullptr) continue;
    for (const auto& asked : cast.asked) {
      if (asked.outcome != OutcomeKind::kAck) continue;
      for (auto& slot : saved.registry.slots) {
        if (slot.enrolment == nullptr || slot.enrolment->key() != key_of(asked.key)) continue;
        slot.quiesced.reserve();
        slot.quiesced.add({id, quiesce->reason, false, at().unix_ms, nullptr});
      }
    }
  }
}

// The run goes on as if nothing had happened: nothing is sent, nobody is told, and what is armed is
// what was armed before.
void Simulation::save_and_restore() {
  if (oracle_->running() != 0) cases_.saw(Case::kSavedWhileRunning);
  if (!oracle_->holds().empty()) cases_.saw(Case::kHoldSaved);
  auto saved = broker_->save();
  if (is_wrong(WrongTransition::kSaveForgetsKeys)) saved.keys = {};
  if (is_wrong(WrongTransition::kSaveForgetsMissed)) saved.refused = {};
  if (is_wrong(WrongTransition::kSaveForgetsPlaces)) {
    for (auto& [key, unseen] : saved.unseen) unseen.listed.clear();
  }
  if (is_wrong(WrongTransition::kSaveForgetsUnseen)) {
    for (auto& slot : saved.registry.slots) {
      if (slot.cause == Cause::kUnseen) slot.cause = Cause::kBrokerRestarted;
    }
  }
  if (is_wrong(WrongTransition::kSaveForgetsQuiesces)) {
    for (auto& slot : saved.registry.slots) slot.quiesced.clear();
  }
  if (is_wrong(WrongTransition::kPreflightQuiesces)) quiesce_who_would(saved);
  if (is_wrong(WrongTransition::kSaveForgetsHolds)) saved.holds = {};
  for (auto& [id, hold] : saved.holds.all()) {
    if (is_wrong(WrongTransition::kSaveForgetsHeld)) hold.members.clear();
    if (is_wrong(WrongTransition::kSaveForgetsHolders)) hold.known.clear();
  }
  if (is_wrong(WrongTransition::kSaveForgetsTime)) {
    for (auto& slot : saved.deadlines.slots) slot.at = now_;
  }
  broker_.reset();
  broker_ = std::make_unique<core::Broker>(config_, shell_);
  const auto armed = shell_.forget_armed();
  auto restored = saved;
  call([&] { broker_->restore(std::move(restored)); });
  must(shell_.sent.empty(), "restoring sends nothing");
  must(shell_.is_armed_as(armed), "restoring arms what was armed before");
  must(broker_->save() == saved, "what is restored is what was saved");
  for (auto& [number, line] : shell_.lines()) {
    if (line.account == nullptr) continue;
    line.account = &broker_->ledger()->queue_of(peer_of(line.process).uid);
    line.account->used += line.outbox.size();
  }
}

// The roster has each process as the broker saw it that wrote it down. Seen from another pid
// namespace, a pid is a stranger's; an inode of a pidfd is good everywhere.
void Simulation::look_up(std::vector<Oracle::Backend>& roster, std::int64_t place) {
  for (auto& backend : roster) {
    const auto refused = backend.is_refused() ? backend.cause : Cause::kNone;
    const auto known = broker_->registered(key_of(backend.key));
    must(known && known->refused == refused && known->is_unseen == backend.is_unseen() &&
             known->is_inherited == (backend.cause == Cause::kInherited),
         "the roster is told something else of a backend than what it is");
    if (!backend.is_unseen()) {
      backend.record = {backend.peer, refused, place_};
      // Nobody knows which process has the connection of one that has exited.
      if (backend.cause == Cause::kInherited) backend.record.peer.process.pid = 0;
    }
    const auto& record = backend.record;
    const bool is_seen = record.place == place;
    if (is_seen && backend.is_unseen()) cases_.saw(Case::kUnseenSeen);
    backend.peer = record.peer;
    backend.cause = is_seen ? record.refused : Cause::kUnseen;
    backend.state = is_seen && record.refused != Cause::kNone ? BackendState::kLost
                                                              : BackendState::kReconnecting;
    if (!is_seen && backend.peer.process.pid != 0) backend.peer.process = {};
  }
  std::erase_if(roster, [&](const Oracle::Backend& backend) {
    const auto process = shell_.line(backend.connection)->process;
    return backend.peer.process.pid != 0 && processes_[process].exited;
  });
}

// As after kill -9: nobody is told, every connection is closed, ids go on. The roster and the
// operation keys are on disk.
void Simulation::restart(bool keep_sockets, bool no_roster, std::int64_t place) {
  if (oracle_->running() != 0) cases_.saw(Case::kRestartWhileRunning);
  if (!keep_sockets) cases_.saw(Case::kNeverAccepted, waiting_.size());
  std::vector<Oracle::Backend> before;
  if (!no_roster) before = oracle_->backends();
  std::erase_if(before, [&](const Oracle::Backend& backend) {
    const auto* line = shell_.line(backend.connection);
    return backend.state == BackendState::kDead || line == nullptr;
  });
  look_up(before, place);
  place_ = place;
  std::vector<std::uint32_t> process_of;
  std::vector<core::Quiesces> quiesces_of;  // as the roster has them
  std::vector<Cause> refused_of;
  for (const auto& backend : before) {
    process_of.push_back(shell_.line(backend.connection)->process);
    auto known = broker_->registered(key_of(backend.key));
    auto& quiesces = quiesces_of.emplace_back();
    refused_of.push_back(backend.record.refused);
    if (is_wrong(WrongTransition::kRestartForgetsRefused)) refused_of.back() = Cause::kNone;
    if (known && !is_wrong(WrongTransition::kRestartForgetsQuiesces)) {
      quiesces = std::move(known->quiesced);
    }
  }
  std::vector<Oracle::Hold> holds;
  for (const auto& [id, hold] : oracle_->holds()) {
    if (Oracle::is_recorded(hold)) holds.push_back(hold);
  }
  auto kept = std::exchange(holds_on_disk_, {});
  const auto keys = oracle_->recorded_keys();
  broker_.reset();
  shell_.reset(keep_sockets);
  if (!keep_sockets) waiting_.clear();
  shortage_ = false;
  start_broker();
  oracle_->restore_keys(keys, at());
  if (!is_wrong(WrongTransition::kRestartForgetsKeys)) {
    call([&] { broker_->restore_keys(shell_.used_keys, at()); });
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    constexpr std::uint32_t kFirstWatch = 1'000'000'000;  // no script has so many connections
    const auto number = kFirstWatch + watches_++;
    auto& line = shell_.watch(number, process_of[i]);
    const auto id = line.id;
    // Nothing leads to one that cannot be seen before it is back.
    line.is_watched = before[i].peer.process.pid != 0;
    oracle_->expect(number, before[i], at());
    call([&] {
      if (is_wrong(WrongTransition::kRestartForgets)) return;
      const bool is_unseen = before[i].is_unseen();
      if (is_unseen && is_wrong(WrongTransition::kUnseenIsGone)) return;
      broker_->expect(id,
                      {registration_of(before[i].form, before[i].key), before[i].peer,
                       std::move(quiesces_of[i]), refused_of[i], false,
                       is_unseen && !is_wrong(WrongTransition::kUnseenIsSeen)},
                      at());
    });
  }
  restart_holds(holds, std::move(kept));
}

void Simulation::restart_holds(const std::vector<Oracle::Hold>& before,
                               std::vector<core::KeptHold> kept) {
  checks_disk_ = false;  // it is read now
  for (std::size_t i = 0; i < before.size(); ++i) {
    oracle_->expect_hold(before[i], at());
    call([&] {
      if (is_wrong(WrongTransition::kRestartForgetsHolds)) return;
      if (is_wrong(WrongTransition::kRestartHoldsAll)) kept.at(i).selection.clear();
      broker_->expect_hold(std::move(kept.at(i)), at());
    });
  }
  checks_disk_ = true;
  holds_on_disk_ = broker_->holds_to_keep();
  disk_checked_ = oracle_->record_changes() - 1;
}

bool Simulation::apply(const Step& step) {
  const bool done = do_step(step);
  if (done) ++steps_;
  return done;
}

bool Simulation::do_step(const Step& step) {
  const auto number = static_cast<std::uint32_t>(step.args[0]);
  switch (step.kind) {
    case StepKind::kConnect:
      return connect(step);
    case StepKind::kRegister:
    case StepKind::kAck:
    case StepKind::kFail:
    case StepKind::kWorking:
    case StepKind::kActivity:
    case StepKind::kDeregister:
    case StepKind::kGarbage:
      return say(step);
    case StepKind::kRead:
      return read(step);
    case StepKind::kClose:
      return close(step);
    case StepKind::kHalfClose:
      return half_close(number);
    case StepKind::kExit:
      return exit(step);
    case StepKind::kDeliver:
      return deliver(number);
    case StepKind::kGone:
      return gone(number);
    case StepKind::kFire:
      return fire(number);
    case StepKind::kStale:
      return stale(number);
    case StepKind::kBogus:
      return bogus(step);
    case StepKind::kGhost:
      return ghost(step);
    case StepKind::kAdvance:
      now_ += std::chrono::microseconds(std::max<std::int64_t>(step.args[0], 0));
      return true;
    case StepKind::kJump:
      if (oracle_->running() != 0) cases_.saw(Case::kClockJumpWhileRunning);
      wall_offset_ms_ += step.args[0];
      return true;
    case StepKind::kStart:
      return start(step);
    case StepKind::kDryRun:
      return dry_run(step);
    case StepKind::kCancel:
      return cancel(step);
    case StepKind::kReport:
      return report(static_cast<BroadcastId>(step.args[0]));
    case StepKind::kList:
      return list(step.args[0]);
    case StepKind::kWatch:
      shell_.watched = step.args[0] != 0;
      oracle_->watched = shell_.watched;
      return true;
    case StepKind::kShutDown:
      return shut_down(step.args[0] != 0);
    case StepKind::kRestart:
      restart(step.args[0] != 0, step.args[1] != 0, step.args[2]);
      return true;
    case StepKind::kResume:
      return resume(step);
    case StepKind::kForget:
      return forget(number);
    case StepKind::kForgetMissed:
      return forget_missed();
    case StepKind::kForgetUnseen:
      return forget_unseen();
    case StepKind::kShortage:
      shortage_ = step.args[0] != 0;
      return true;
    case StepKind::kAccept:
      return accept(step.args[0]);
    case StepKind::kScanned:
      return scanned(step);
    case StepKind::kEndHold:
      return end_hold(static_cast<HoldId>(step.args[0]));
    case StepKind::kHoldLeft:
      return hold_left(static_cast<HoldId>(step.args[0]));
    case StepKind::kKeepHold:
      return keep_hold(step);
    case StepKind::kSave:
      save_and_restore();
      return true;
  }
  return false;
}

bool Simulation::say(const Step& step) {
  auto* line = shell_.line(step.args[0]);
  if (line == nullptr || line->closed || !processes_[line->process].speaks()) return false;
  if (line->half_closed) return false;
  const bool reaches =
      line->broker == Line::Broker::kOpen || line->broker == Line::Broker::kWaiting;
  if (!reaches || line->too_slow) return false;
  line->inbox.push_back(step);
  return true;
}

bool Simulation::connect(const Step& step) {
  const auto number = static_cast<std::uint32_t>(step.args[0]);
  const auto process = static_cast<std::uint32_t>(step.args[1]);
  if (shell_.line(number) != nullptr || processes_[process].exited) return false;
  shell_.connect(number, process);
  waiting_.push_back(number);
  // A broker that is well accepts whoever comes.
  if (waiting_.size() == 1 && accept(1)) return true;
  cases_.saw(Case::kAcceptedLate);
  return true;
}

bool Simulation::accept(std::int64_t most) {
  if (shortage_ || waiting_.empty()) return false;
  for (; most > 0 && !waiting_.empty(); --most) {
    const auto number = waiting_.front();
    waiting_.pop_front();
    const auto& line = shell_.accept(number);
    const bool exited = processes_[line.process].exited;
    if (exited) cases_.saw(Case::kAcceptedDead);
    const auto peer = peer_of(line.process, exited);
    oracle_->opened(number, peer, at());
    call([&] {
      if (!broker_->connection_opened(line.id, peer, at())) return;
      shell_.charge(number, broker_->ledger()->queue_of(peer.uid));
    });
  }
  return true;
}

bool Simulation::read(const Step& step) {
  auto* line = shell_.line(step.args[0]);
  if (line == nullptr || line->outbox.empty() || line->closed) return false;
  auto& process = processes_[line->process];
  if (!process.speaks()) return false;
  for (auto left = step.args[1]; left > 0 && !line->outbox.empty(); --left) {
    const auto message = SimShell::take_message(*line);
    if (message.kind != Sent::Kind::kOperation) continue;
    auto& known = process.known;
    if (std::find(known.begin(), known.end(), message.a) == known.end()) known.push_back(message.a);
  }
  return true;
}

bool Simulation::close(const Step& step) {
  auto* line = shell_.line(step.args[0]);
  if (line == nullptr || line->closed || !processes_[line->process].speaks()) return false;
  line->closed = true;
  return true;
}

bool Simulation::half_close(std::uint32_t connection) {
  auto* line = shell_.line(connection);
  if (line == nullptr || line->closed || line->half_closed) return false;
  if (!processes_[line->process].speaks()) return false;
  line->half_closed = true;
  return true;
}

bool Simulation::exit(const Step& step) {
  const auto number = static_cast<std::uint32_t>(step.args[0]);
  const auto process = processes_.find(number);
  if (process == processes_.end() || process->second.exited) return false;
  process->second.exited = true;
  process->second.has_child = step.args[1] != 0;
  // What nothing leads to is not seen to exit.
  const bool seen = peer_of(number).is_identified();
  for (auto& [connection, line] : shell_.lines()) {
    if (line.process != number) continue;
    line.exit_due = seen && line.is_watched && line.broker != Line::Broker::kReleased;
    if (step.args[1] == 0) line.closed = true;
  }
  return true;
}

}  // namespace muster::simulator
