// Holds: who is held, until when, and who is told of the end.
//
// A hold is there from the moment at which its broadcast is sent, so that whoever registers from
// then on is told. It begins with the last outcome. It ends once, and then all who may believe
// themselves held are told: those who acked, and those who registered meanwhile. One that is away
// sees on its return that the hold is not among those that go on.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "core/broker_state.h"
#include "core/report_bytes.h"
#include "model/time_text.h"

namespace muster::core {
namespace {

using std::chrono::milliseconds;

bool is_of_quiesce(const Hold& hold) { return hold.operation.as_quiesce() != nullptr; }

std::uint64_t after(std::uint64_t unix_ms, milliseconds time) {
  return unix_ms + static_cast<std::uint64_t>(time.count());
}

ControlError no_hold(ControlError::Code code, std::string message) {
  return {code, std::move(message)};
}

}  // namespace

// --- starting one

std::optional<ControlError> Broker::State::check(const HoldRequest& hold) const {
  using Code = ControlError::Code;
  if (!hold.ttl) {
    if (hold.leased) return std::nullopt;
    return ControlError{Code::kInvalid,
                        "a hold without an end: give it a time, or let it end with the connection"};
  }
  if (*hold.ttl < milliseconds(1) || *hold.ttl > config.max_hold_ttl) {
    return ControlError{Code::kInvalid, "a hold of " + std::to_string(hold.ttl->count()) +
                                            " ms: its time must be from 1 ms to the " +
                                            std::to_string(config.max_hold_ttl.count()) +
                                            " ms that this broker allows"};
  }
  return std::nullopt;
}

std::optional<ControlError> Broker::State::no_room_for_hold(const BroadcastRequest& request,
                                                            std::optional<uid_t> uid) {
  if (uid) {
    if (auto over = accounts.refusal(Resource::kHold, *uid)) {
      ++counters.over_quota;
      return ControlError{ControlError::Code::kBusy, *std::move(over) + "; end one first"};
    }
  }
  Hold wanted;
  wanted.operation = request.operation;
  constexpr std::size_t kMost = Holds::kMostTextBytes;
  const std::size_t most = !uid || is_privileged(*uid) ? kMost : kMost - kMost / 4;
  if (holds.text_bytes() + wanted.text_bytes() <= most) return std::nullopt;
  return ControlError{
      ControlError::Code::kBusy,
      "the holds that go on have as many paths as can be told to a backend that registers (" +
          std::to_string(most) + " bytes); try again when one has ended"};
}

void Broker::State::add_hold(const Broadcast& broadcast) {
  const BroadcastRequest& request = broadcast.request;
  Hold hold;
  hold.id = broadcast.id;
  hold.operation = request.operation;
  hold.selection = request.selection;
  hold.asked_by = broadcast.asked_by;
  hold.charged = broadcast.charged;
  hold.ttl = request.hold->ttl;
  hold.verify = request.verify;
  hold.mount_namespace = request.mount_namespace;
  hold.state.leased = request.hold->leased;
  hold.members.reserve(broadcast.targets.size());
  holds.add(std::move(hold));
  if (broadcast.charged) {
    try {
      accounts.take(Resource::kHold, *broadcast.charged);
    } catch (...) {
      (void)holds.take(broadcast.id);
      throw;
    }
  }
}

void Broker::State::remove_hold(HoldId id) noexcept {
  if (holds.find(id) == nullptr) return;
  const Hold gone = holds.take(id);
  if (gone.charged) accounts.give_back(Resource::kHold, *gone.charged);
}

void Broker::State::begin_hold(Broadcast& broadcast, Now now) {
  Hold* const hold = holds.find(broadcast.id);
  if (hold == nullptr) return;  // it has ended already
  if (broadcast.state == BroadcastState::kCancelled) {
    return finish_hold(broadcast.id, HoldEnd::kAbandoned, now);
  }
  hold->state.since_unix_ms = now.unix_ms;
  if (hold->ttl) {
    hold->state.expires_unix_ms = after(now.unix_ms, *hold->ttl);
    try {
      arm_hold(hold->expires, Deadline::Kind::kHoldExpires, *hold, now.steady + *hold->ttl);
    } catch (const std::bad_alloc&) {  // it would never end
      return finish_hold(broadcast.id, HoldEnd::kExpired, now);
    }
  }
  shell.holds_changed();
  tell(Event::Kind::kHoldStarted, *hold, now);
}

void Broker::State::note_held(Broadcast& broadcast, EntryId id, Now now) {
  const Entry& entry = registry.at(id);
  Hold* const hold = holds.find(broadcast.id);
  if (hold == nullptr) {
    const HoldEnd why =
        broadcast.hold && broadcast.hold->ended ? *broadcast.hold->ended : HoldEnd::kExpired;
    if (broadcast.request.operation.as_quiesce() != nullptr) {
      return end_quiesce_of(id, broadcast.id, why, now);
    }
    return tell_hold_ended(entry, broadcast.id, why);
  }
  ++hold->acked;
  if (is_of_quiesce(*hold)) {  // its entry says so, and it hears of the end once
    std::erase(hold->members, HoldMember{id, entry.enrolment->incarnation});
    return;
  }
  try {
    hold->members.push_back({id, entry.enrolment->incarnation});
  } catch (const std::bad_alloc&) {
    hold->members.clear();
    hold->is_of_all = true;
  }
}

void Broker::State::add_active_holds(EntryId id, Registered& registered) {
  const Entry& entry = registry.at(id);
  const Registration& registration = entry.enrolment->registration;
  for (auto& [hold_id, hold] : holds.all()) {
    if (!hold.selection.empty() && !selects(hold.selection, registration.key, registration.labels))
      continue;
    ActiveHold active;
    active.id = hold_id;
    active.expires_unix_ms = hold.state.expires_unix_ms;
    if (const auto* release = hold.operation.as_release_handles()) {
      active.path_prefix = release->path_prefix;
      active.alias = release->alias;
    }
    registered.active_holds.push_back(std::move(active));
    if (hold.members.size() > 2 * registry.size_hint() + 64) {  // some come and go all the time
      std::erase_if(hold.members, [&](const HoldMember& member) {
        const Entry& one = registry.at(member.entry);
        return one.enrolment == nullptr || one.enrolment->incarnation != member.incarnation;
      });
    }
    // One that acked a quiesce is told of the end as of that of any: it may have ended for it.
    const bool is_to_be_told =
        entry.quiesced.ended() && entry.quiesced.newest().broadcast == hold_id;
    if (is_of_quiesce(hold) && (entry.quiesced.holds(hold_id) || is_to_be_told)) continue;
    hold.members.push_back({id, entry.enrolment->incarnation});
  }
}

void Broker::expect_hold(KeptHold kept, Now now) {
  auto& state = *state_;
  if (kept.id == 0 || state.holds.find(kept.id) != nullptr) return;
  Hold hold;
  hold.id = kept.id;
  hold.operation = std::move(kept.operation);
  hold.selection = std::move(kept.selection);
  hold.asked_by = std::move(kept.asked_by);
  if (hold.asked_by) hold.charged = hold.asked_by->uid;
  hold.verify = kept.verify;
  hold.mount_namespace = kept.mount_namespace;
  hold.state.leased = kept.leased;
  hold.state.more_violations = kept.violations;
  hold.state.since_unix_ms = kept.since_unix_ms;
  hold.state.expires_unix_ms = kept.expires_unix_ms;
  Hold& added = state.holds.add(std::move(hold));
  try {
    if (added.charged) state.accounts.take(Resource::kHold, *added.charged);
  } catch (...) {
    (void)state.holds.take(kept.id);
    throw;
  }
  if (kept.expires_unix_ms != 0) {
    // By the wall clock, which may have been set back meanwhile.
    const auto left = kept.expires_unix_ms <= now.unix_ms
                          ? milliseconds(0)
                          : milliseconds(std::min<std::uint64_t>(
                                kept.expires_unix_ms - now.unix_ms,
                                static_cast<std::uint64_t>(state.config.max_hold_ttl.count())));
    if (left == milliseconds(0)) return state.finish_hold(kept.id, HoldEnd::kExpired, now);
    state.arm_hold(added.expires, Deadline::Kind::kHoldExpires, added, now.steady + left);
  }
  if (kept.leased) {
    added.state.owner_away = true;
    state.arm_hold(added.owner, Deadline::Kind::kHoldOwner, added,
                   now.steady + state.config.restart_grace);
  }
  state.scan_hold_later(added, state.config.hold_scan_interval, now);
}

// --- while it goes on

void Broker::State::arm_hold(DeadlineId& id, Deadline::Kind kind, const Hold& hold, SteadyTime at) {
  Deadline deadline;
  deadline.kind = kind;
  deadline.hold = hold.id;
  id = arm(deadline, at);
}

void Broker::State::hold_deadline(const Deadline& what, Now now) {
  Hold* const hold = holds.find(what.hold);
  if (hold == nullptr) return;
  switch (what.kind) {
    case Deadline::Kind::kHoldExpires:
      hold->expires = {};
      return finish_hold(what.hold, HoldEnd::kExpired, now);
    case Deadline::Kind::kHoldOwner:
      hold->owner = {};
      return finish_hold(what.hold, HoldEnd::kAbandoned, now);
    default:
      hold->next_scan = {};
      return scan_hold(*hold, now);
  }
}

// --- the end

std::optional<ControlError> Broker::end_hold(HoldId id, Now now) {
  auto& state = *state_;
  Hold* const hold = state.holds.find(id);
  if (hold == nullptr) {
    const Broadcast* const broadcast = state.log.find(id);
    const std::string name = "hold " + std::to_string(id);
    if (broadcast != nullptr && broadcast->hold) {
      return no_hold(ControlError::Code::kNotFound,
                     name + " ended at " + format_utc(broadcast->hold->ended_unix_ms) + " (" +
                         std::string(to_string(*broadcast->hold->ended)) + ")");
    }
    return no_hold(ControlError::Code::kNotFound, "no " + name + " goes on");
  }
  if (hold->is_ending) return std::nullopt;
  const Broadcast* const broadcast = state.log.find(id);
  const bool is_asked_for = broadcast != nullptr && !is_over(broadcast->state);
  if (!hold->verify || is_asked_for || state.shutting_down) {
    state.finish_hold(id, HoldEnd::kCompleted, now);
    return std::nullopt;
  }
  hold->is_ending = true;
  if (hold->is_scanning) return std::nullopt;
  hold->last_tries = 1;
  state.disarm(hold->next_scan);
  state.scan_hold(*hold, now);
  return std::nullopt;
}

void Broker::State::end_quiesce_holds(BroadcastId id, Now now) {
  const auto is_meant = [&](const auto& one) {
    return is_of_quiesce(one.second) && (id == 0 || one.first == id);
  };
  for (;;) {
    const auto found = std::find_if(holds.all().begin(), holds.all().end(), is_meant);
    if (found == holds.all().end()) return;
    finish_hold(found->first, HoldEnd::kResumed, now);
  }
}

void Broker::State::end_waiting_holds(Now now) {
  for (;;) {
    const auto found = std::find_if(holds.all().begin(), holds.all().end(),
                                    [](const auto& one) { return one.second.is_ending; });
    if (found == holds.all().end()) return;
    finish_hold(found->first, HoldEnd::kCompleted, now);
  }
}

void Broker::State::finish_hold(HoldId id, HoldEnd why, Now now) {
  Hold hold = holds.take(id);
  disarm(hold.expires);
  disarm(hold.next_scan);
  disarm(hold.owner);
  if (hold.charged) accounts.give_back(Resource::kHold, *hold.charged);
  if (hold.is_ending && hold.is_scanning) {  // its last scan did not come
    ++hold.state.scans;
    hold.state.last_verdict = HolderVerdict::kUnknown;
  }
  hold.state.ended = why;
  hold.state.ended_unix_ms = now.unix_ms;
  hold.state.owner_away = false;
  std::sort(hold.members.begin(), hold.members.end());
  tell_members(hold, why, now);
  if (hold.state.since_unix_ms != 0) shell.holds_changed();
  tell(Event::Kind::kHoldEnded, hold, now, to_string(why));
  if (Broadcast* const broadcast = log.find(id)) {
    broadcast->is_held = false;
    unless_out_of_memory([&] {
      broadcast->hold.emplace(std::move(hold.state));
      if (broadcast->bytes != 0) log.has_grown(*broadcast, bytes_of(*broadcast->hold));
    });
  } else {  // it is of before a restart: no report has it
    unless_out_of_memory([&] { ended_hold = info_of(hold); });
  }
  shell.hold_ended(id);
  ended_hold.reset();
  expire_reports(now);
}

void Broker::State::tell_members(const Hold& hold, HoldEnd why, Now now) {
  shell.begin_sends(hold.members.size());
  EntryId last = kNoEntry;  // some stand there twice: they were told of it, and acked
  const auto tell_one = [&](EntryId id, const Entry& entry) {
    // One that acked a quiesce is told below, if no other quiesce goes on.
    if (is_of_quiesce(hold) && entry.quiesced.holds(hold.id)) return;
    if (std::exchange(last, id) != id) tell_hold_ended(entry, hold.id, why);
  };
  if (hold.is_of_all) {
    registry.for_each([&](EntryId id, const Entry& entry) { tell_one(id, entry); });
  } else {
    for (const HoldMember& member : hold.members) {
      const Entry& entry = registry.at(member.entry);
      const bool is_there =
          entry.enrolment != nullptr && entry.enrolment->incarnation == member.incarnation;
      if (is_there) tell_one(member.entry, entry);
    }
  }
  if (is_of_quiesce(hold)) {
    registry.for_each([&](EntryId id, Entry& entry) {
      if (entry.quiesced.holds(hold.id)) end_quiesce_of(id, hold.id, why, now);
    });
  }
  unless_out_of_memory([&] { shell.flush(); });
}

void Broker::State::end_quiesce_of(EntryId id, HoldId hold, HoldEnd why, Now now) {
  Entry& entry = registry.at(id);
  if (!entry.quiesced.holds(hold) || !entry.enrolment->registration.can_resume) return;
  if (entry.quiesced.end_one_of_many(hold)) {
    shell.record_changed(entry.enrolment->key());
    return;
  }
  unless_out_of_memory([&] { end_quiesce(id, why, now); });
}

void Broker::State::tell_hold_ended(const Entry& entry, HoldId id, HoldEnd why) noexcept {
  if (entry.state != BackendState::kLive) return;
  HoldEnded ended;
  ended.hold_id = id;
  ended.why = why;
  unless_out_of_memory([&] { shell.send(entry.connection, 0, ended); });
}

}  // namespace muster::core
