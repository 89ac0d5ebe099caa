#include "core/saved_state.h"

#include <utility>

#include "core/broker_state.h"

namespace muster::core {

SavedState Broker::save() const {
  const State& state = *state_;
  state.shell.send_waiting();
  SavedState saved;
  saved.registry = state.registry.save();
  saved.deadlines = state.deadlines.save();
  saved.log = state.log.save();
  saved.keys = state.keys;
  saved.holds = state.holds;
  saved.refused = state.refused.save();
  saved.unseen = state.unseen;
  saved.counters = state.counters;
  saved.sessions = state.sessions;
  saved.last_incarnation = state.last_incarnation;
  saved.expire_dead_deadline = state.expire_dead_deadline;
  saved.expire_reports_deadline = state.expire_reports_deadline;
  saved.keys_are_shared = state.keys_are_shared;
  saved.shutting_down = state.shutting_down;
  saved.drained = state.drained;
  return saved;
}

void Broker::restore(SavedState saved) {
  State& state = *state_;
  state.log.restore(std::move(saved.log));
  state.registry.restore(std::move(saved.registry),
                         [&](BroadcastId id) { return state.log.find(id); });
  state.keys = std::move(saved.keys);
  state.holds = std::move(saved.holds);
  state.refused.restore(std::move(saved.refused));
  state.unseen = std::move(saved.unseen);
  state.counters = saved.counters;
  state.sessions = std::move(saved.sessions);
  state.last_incarnation = saved.last_incarnation;
  state.expire_dead_deadline = saved.expire_dead_deadline;
  state.expire_reports_deadline = saved.expire_reports_deadline;
  state.keys_are_shared = saved.keys_are_shared;
  state.shutting_down = saved.shutting_down;
  state.drained = saved.drained;
  // What is charged follows from what is there.
  for (const Session& session : state.sessions) {
    if (session.counted) state.accounts.take(Resource::kConnection, session.peer.uid);
  }
  for (std::uint32_t slot = 0; slot < state.sessions.size(); ++slot) {
    const Session& session = state.sessions[slot];
    if (session.phase != Session::Phase::kTurnedAway) continue;
    state.refused.unknown.add(session.peer, {slot, session.generation});
  }
  state.registry.for_each([&](EntryId id, const Entry& entry) {
    const Peer& peer = entry.enrolment->peer;
    if (entry.is_refused()) state.refused.listed.add(peer, id);
    if (entry.is_registered()) state.accounts.take(Resource::kRegistration, peer.uid);
  });
  for (const auto& [id, hold] : state.holds.all()) {
    if (hold.charged) state.accounts.take(Resource::kHold, *hold.charged);
  }
  state.log.for_each_running([&](const Broadcast& broadcast) {
    if (broadcast.charged) state.accounts.take(Resource::kBroadcast, *broadcast.charged);
  });
  state.deadlines.restore(saved.deadlines, state.log,
                          [&](DeadlineId id, SteadyTime at) { state.shell.arm(id, at); });
}

}  // namespace muster::core
