// The oracle: holds. Who is held and until when, and who is told of the end.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/universe.h"
#include "simulator/violation.h"

namespace muster::simulator {
namespace {

using Code = ControlError::Code;

std::size_t text_bytes(const BroadcastOperation& operation) {
  constexpr std::size_t kBeside = 48;  // what a message has beside the path
  const auto* release = operation.as_release_handles();
  return kBeside + (release == nullptr ? 0 : release->path_prefix.size() + release->alias.size());
}

}  // namespace

void Oracle::tell(Event::Kind kind, const Hold& hold, std::string_view detail) {
  told.push_back({kind, hold.id, kKeys, 0, 0, Told::words(detail)});
}

// --- beginning

std::optional<Code> Oracle::check_hold(const Wish& wish) const {
  // Rule: a preflight releases nothing: there is nothing to prove and nothing to hold.
  if (operation_of(wish.operation).accepted->is_preflight() && (wish.verify || wish.hold)) {
    cases_.saw(Case::kPreflightHeld);
    return Code::kInvalid;
  }
  // Rule: only of a release the kernel can say something.
  const bool is_release = operation_of(wish.operation).accepted->as_release_handles() != nullptr;
  if (wish.verify && !is_release) return Code::kInvalid;
  if (!wish.hold) return std::nullopt;
  // Rule: a hold has an end: with the connection, or by its time, of which there is a most.
  if (!wish.hold->ttl) return wish.hold->leased ? std::nullopt : std::optional(Code::kInvalid);
  const auto ttl = wish.hold->ttl->count();
  return ttl < 1 || ttl > knobs_.max_hold_ttl ? std::optional(Code::kInvalid) : std::nullopt;
}

std::size_t Oracle::text_bytes_of_holds() const {
  std::size_t bytes = 0;
  for (const auto& [id, hold] : holds_) bytes += text_bytes(hold.operation);
  return bytes;
}

// Rule: a quota of holds for each user; and all holds have to fit into the answer to one
// registration, a quarter of which is reserved for root and the broker's own user.
std::optional<Code> Oracle::no_room_for_hold(const Wish& wish) {
  constexpr std::size_t kMost = 32 * 1024;
  if (!wish.hold) return std::nullopt;
  if (wish.by && is_full(usage_of(wish.by->uid).holds)) {
    cases_.saw(Case::kHoldsUsedUp);
    ++counters.over_quota;
    return Code::kBusy;
  }
  const auto bytes = text_bytes_of_holds() + text_bytes(*operation_of(wish.operation).accepted);
  const bool is_privileged = !wish.by || core::is_privileged(wish.by->uid);
  if (bytes > (is_privileged ? kMost : kMost / 4 * 3)) {
    cases_.saw(Case::kHoldTextUsedUp);
    return Code::kBusy;
  }
  if (bytes > kMost / 4 * 3) cases_.saw(Case::kHoldTextReserve);
  return std::nullopt;
}

// Rule: whoever registers from the moment of asking on is told of the hold.
void Oracle::add_hold(const Cast& cast) {
  if (!cast.hold) return;
  Hold& hold = holds_[cast.id];
  hold.id = cast.id;
  hold.operation = cast.operation;
  hold.selection = cast.selection;
  hold.by = cast.by;
  hold.charged = cast.charged;
  hold.ttl = cast.hold->ttl;
  hold.verify = cast.verify;
  hold.mount_namespace = cast.mount_namespace;
  hold.state.leased = cast.hold->leased;
}

// Rule: it begins with the last outcome, and its time counts from there. What is cancelled before
// is not held.
void Oracle::begin_hold(Cast& cast, Now now) {
  const auto found = holds_.find(cast.id);
  if (found == holds_.end()) return;
  if (cast.state == BroadcastState::kCancelled) {
    return finish_hold(cast.id, HoldEnd::kAbandoned, now);
  }
  cases_.saw(Case::kHoldBegan);
  Hold& hold = found->second;
  hold.state.since_unix_ms = now.unix_ms;
  ++record_changes_;
  if (hold.ttl) {
    hold.state.expires_unix_ms = now.unix_ms + static_cast<std::uint64_t>(hold.ttl->count());
    hold.expires_at = now.steady + *hold.ttl;
  }
  tell(Event::Kind::kHoldStarted, hold);
}

// Rule: whoever acked, in time or late, is told of the end; at once where it was before.
void Oracle::hold_acked(const Cast& cast, Backend& backend) {
  if (!cast.hold) return;
  const auto found = holds_.find(cast.id);
  if (found == holds_.end()) {
    cases_.saw(Case::kHoldAckedAfter);
    const auto why = *cast.hold_ended->ended;
    if (cast.operation.as_quiesce() != nullptr) {
      (void)end_quiesce_of(backend, cast.id, why);
    } else if (backend.state == BackendState::kLive) {  // else another process has its connection
      send(backend.connection, Sent::Kind::kHoldEnded, cast.id, static_cast<std::uint64_t>(why));
    }
  } else if (found->second.is_of_quiesce()) {
    found->second.believers.erase(backend.connection);  // it is quiesced from now on
  } else {
    found->second.believers.insert(backend.connection);
  }
}

// Rule: Registered tells of the holds that go on and select the backend, and of no other.
void Oracle::list_holds(const Backend& backend) {
  std::vector<ActiveHold> all;
  for (auto& [id, hold] : holds_) {
    if (!selected(hold.selection, backend.form.key, backend.form.hot)) {
      cases_.saw(Case::kHoldNotListed);
      continue;
    }
    ActiveHold active;
    active.id = id;
    active.expires_unix_ms = hold.state.expires_unix_ms;
    if (const auto* release = hold.operation.as_release_handles()) {
      active.path_prefix = release->path_prefix;
      active.alias = release->alias;
    }
    all.push_back(std::move(active));
    const auto acked = [&] {
      const auto cast = casts_.find(id);
      if (cast == casts_.end()) return false;
      return std::any_of(
          cast->second.asked.begin(), cast->second.asked.end(), [&](const Asked& asked) {
            return asked.serial == backend.serial && asked.outcome == OutcomeKind::kAck;
          });
    };
    cases_.saw(acked() ? Case::kHoldListedAgain : Case::kHoldListed);
    // One that acked a quiesce is told of its end as of that of any quiesce: it may have ended for
    // it while it was away, and then it is told so now.
    const bool is_quiesced =
        std::any_of(backend.holds.begin(), backend.holds.end(),
                    [&](const auto& quiesce) { return quiesce.state.broadcast == id; });
    if (!hold.is_of_quiesce() || !is_quiesced) hold.believers.insert(backend.connection);
  }
  holds_listed.emplace_back(backend.connection, std::move(all));
}

// Rule: a hold goes on after a restart with what is left of its time, by the wall clock; a leased
// one waits for its operator as long as backends are waited for.
void Oracle::expect_hold(const Hold& before, Now now) {
  cases_.saw(Case::kHoldExpected);
  Hold& hold = holds_[before.id];
  hold.id = before.id;
  hold.operation = before.operation;
  hold.selection = before.selection;
  hold.by = before.by;
  if (hold.by) hold.charged = hold.by->uid;
  hold.verify = before.verify;
  hold.mount_namespace = before.mount_namespace;
  hold.state.leased = before.state.leased;
  // Rule: a violation is not forgotten by a restart.
  hold.state.more_violations = before.state.violations.size() + before.state.more_violations;
  hold.state.since_unix_ms = before.state.since_unix_ms;
  hold.state.expires_unix_ms = before.state.expires_unix_ms;
  if (const auto expires = hold.state.expires_unix_ms; expires != 0) {
    if (expires <= now.unix_ms) {
      cases_.saw(Case::kHoldExpiredMeanwhile);
      return finish_hold(hold.id, HoldEnd::kExpired, now);
    }
    const auto left = std::min<std::uint64_t>(expires - now.unix_ms,
                                              static_cast<std::uint64_t>(knobs_.max_hold_ttl));
    hold.expires_at = now.steady + milliseconds(left);
  }
  if (hold.state.leased) {
    hold.state.owner_away = true;
    hold.owner_until = now.steady + milliseconds(knobs_.restart_grace);
  }
  if (hold.verify) hold.scan_at = now.steady + milliseconds(knobs_.hold_scan_interval);
}

// --- ending

std::optional<Code> Oracle::end_hold(HoldId id, Now now) {
  const auto found = holds_.find(id);
  if (found == holds_.end()) return Code::kNotFound;
  Hold& hold = found->second;
  if (hold.ending) return std::nullopt;
  const auto cast = casts_.find(id);
  const bool is_asked_for = cast != casts_.end() && !muster::is_over(cast->second.state);
  // Rule: a verified one gets one last scan before the end is told.
  if (!hold.verify || is_asked_for || shutting_down_) {
    finish_hold(id, HoldEnd::kCompleted, now);
    return std::nullopt;
  }
  hold.ending = true;
  if (hold.scanning) return std::nullopt;
  hold.last_scans = 1;
  hold.scan_at.reset();
  scan_hold(hold);
  return std::nullopt;
}

// Rule: a hold belongs to the connection that asked for it, and ends with it, also while backends
// are asked. The connections that end as the broker goes down may come back to the next one.
void Oracle::hold_left(HoldId id, Now now) {
  const auto found = holds_.find(id);
  if (found == holds_.end() || !found->second.state.leased) return;
  // Rule: one whose end was asked for ends then, without its last scan.
  const HoldEnd why = found->second.ending ? HoldEnd::kCompleted : HoldEnd::kAbandoned;
  if (!shutting_down_) return finish_hold(id, why, now);
  cases_.saw(Case::kHoldLeftGoingDown);
  found->second.state.owner_away = true;
}

// Rule: an operator may leave a hold of its own to its time, if it has one: nobody's connection
// ends it then.
std::optional<Code> Oracle::keep_hold(HoldId id, uid_t uid, bool detach) {
  const auto found = holds_.find(id);
  if (found == holds_.end()) return Code::kNotFound;
  Hold& hold = found->second;
  if (detach && !hold.ttl && hold.state.expires_unix_ms == 0) return Code::kInvalid;
  if (!hold.state.leased) return Code::kInvalid;
  if (!hold.by || hold.by->uid != uid) {
    cases_.saw(Case::kHoldDenied);
    return Code::kDenied;
  }
  if (hold.owner_until) cases_.saw(Case::kHoldKept);
  hold.owner_until.reset();
  hold.state.owner_away = false;
  if (detach) {
    cases_.saw(Case::kHoldDetached);
    hold.state.leased = false;
  }
  return std::nullopt;
}

void Oracle::hold_expires_due(HoldId id, SteadyTime at, Now now) {
  const auto hold = holds_.find(id);
  if (hold == holds_.end() || hold->second.expires_at != at) {
    throw Violation("the time of a hold is armed that does not have it");
  }
  finish_hold(id, HoldEnd::kExpired, now);
}

void Oracle::hold_owner_due(HoldId id, SteadyTime at, Now now) {
  const auto hold = holds_.find(id);
  if (hold == holds_.end() || hold->second.owner_until != at) {
    throw Violation("an operator is waited for that no hold has");
  }
  cases_.saw(Case::kHoldOwnerGone);
  finish_hold(id, HoldEnd::kAbandoned, now);
}

void Oracle::end_quiesce_holds(BroadcastId id, Now now) {
  std::vector<HoldId> ends;
  for (const auto& [its_id, hold] : holds_) {
    if (hold.is_of_quiesce() && (id == 0 || its_id == id)) ends.push_back(its_id);
  }
  for (const auto one : ends) finish_hold(one, HoldEnd::kResumed, now);
}

// Rule: a backend resumes when the last of its quiesces has ended, and is told then.
bool Oracle::end_quiesce_of(Backend& backend, BroadcastId id, HoldEnd why) {
  auto& all = backend.holds;
  const auto named = std::find_if(
      all.begin(), all.end(), [&](const auto& quiesce) { return quiesce.state.broadcast == id; });
  if (named == all.end() || backend.resumed_away) return false;
  if (named->for_more || all.size() > 1) {
    cases_.saw(Case::kHoldEndedForSome);
    if (!named->for_more) all.erase(named);
    return false;
  }
  end_quiesce(backend, why);
  return true;
}

// Rule: the end is told once to everybody who may believe in the hold and is there: who acked it,
// and who was told of it. Who is away sees on its return that it is not listed.
void Oracle::finish_hold(HoldId id, HoldEnd why, Now now) {
  Hold hold = std::move(holds_.at(id));
  holds_.erase(id);
  constexpr std::array kWhy = {Case::kHoldCompleted, Case::kHoldAbandoned, Case::kHoldExpired,
                               Case::kHoldResumed};
  cases_.saw(kWhy.at(static_cast<std::size_t>(why)));
  if (hold.state.since_unix_ms == 0) cases_.saw(Case::kHoldEndedEarly);
  ++record_changes_;
  // Rule: a last scan that was owed and did not come saw nothing.
  if (hold.ending && hold.scanning) {
    ++hold.state.scans;
    hold.state.last_verdict = HolderVerdict::kUnknown;
  }
  hold.state.ended = why;
  hold.state.ended_unix_ms = now.unix_ms;
  hold.state.owner_away = false;
  if (hold.is_of_quiesce()) {
    for (auto& backend : backends_) (void)end_quiesce_of(backend, id, why);
  }
  for (const auto connection : hold.believers) {
    const auto backend = std::find_if(backends_.begin(), backends_.end(), [&](const Backend& one) {
      return one.state == BackendState::kLive && one.connection == connection;
    });
    if (backend == backends_.end()) {
      cases_.saw(Case::kHoldEndMissed);
      continue;
    }
    cases_.saw(Case::kHoldEndTold);
    const bool is_resumed = why == HoldEnd::kResumed;
    send(connection, is_resumed ? Sent::Kind::kResumed : Sent::Kind::kHoldEnded, id,
         is_resumed ? 0 : static_cast<std::uint64_t>(why));
  }
  tell(Event::Kind::kHoldEnded, hold, to_string(why));
  holds_ended.push_back(id);
  if (const auto cast = casts_.find(id); cast != casts_.end() && !cast->second.forgotten) {
    cast->second.hold_ended = std::move(hold.state);
  }
  expire_reports(now);
}

// --- looking at them

std::optional<HoldInfo> Oracle::hold_info(HoldId id) const {
  HoldInfo info;
  info.id = id;
  const auto cast = casts_.find(id);
  const bool has_report = cast != casts_.end() && !cast->second.forgotten;
  if (has_report) {
    const auto& asked = cast->second.asked;
    info.acked = static_cast<std::uint32_t>(
        std::count_if(asked.begin(), asked.end(),
                      [](const Asked& one) { return one.outcome == OutcomeKind::kAck; }) +
        std::ssize(cast->second.late_acks));
  }
  if (const auto hold = holds_.find(id); hold != holds_.end()) {
    info.operation = hold->second.operation;
    info.asked_by = hold->second.by;
    info.state = hold->second.state;
    return info;
  }
  if (!has_report || !cast->second.hold_ended) return std::nullopt;
  info.operation = cast->second.operation;
  info.asked_by = cast->second.by;
  info.state = *cast->second.hold_ended;
  return info;
}

core::KeptHold Oracle::recorded(const Hold& hold) {
  core::KeptHold kept;
  kept.id = hold.id;
  kept.operation = hold.operation;
  kept.selection = selection_of(hold.selection);
  kept.asked_by = hold.by;
  kept.leased = hold.state.leased;
  kept.since_unix_ms = hold.state.since_unix_ms;
  kept.expires_unix_ms = hold.state.expires_unix_ms;
  kept.verify = hold.verify;
  kept.mount_namespace = hold.mount_namespace;
  kept.violations = hold.state.violations.size() + hold.state.more_violations;
  return kept;
}

}  // namespace muster::simulator
