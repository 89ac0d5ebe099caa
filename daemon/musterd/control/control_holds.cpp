// Holds of a session: which belong to it, and answers that wait until holds are on disk.
#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "broker/broker_server.h"
#include "musterd/control/control_session.h"
#include "os/peer.h"

namespace muster::daemon {

// --- what belongs to it

void ControlSession::log_hold(std::string_view what, HoldId hold) const {
  if (!may_log(LogLevel::kInfo)) return;
  context_->log.info(what, {{"hold", hold},
                            {"pid", static_cast<std::int64_t>(who_.pid)},
                            {"uid", static_cast<std::uint64_t>(who_.uid)}});
}

bool ControlSession::has_lease() const noexcept {
  return std::any_of(context_->owned.begin(), context_->owned.end(), [this](const auto& one) {
    return one.second.session == this && one.second.is_leased;
  });
}

std::optional<os::ProcessStart> ControlSession::own_process() const {
  if (who_.pid <= 0 || who_.started == 0) return std::nullopt;
  // Where the kernel tells (Linux 6.5), whether the process that connected still is the one of that
  // pid.
  std::error_code error;
  const os::UniqueFd pidfd = os::pidfd_of_peer(stream_.native_handle(), error);
  if (pidfd && os::pid_of_pidfd(pidfd.get()) != who_.pid) return std::nullopt;
  return os::ProcessStart{who_.pid, who_.started};
}

void ControlSession::leave_holds() noexcept {
  auto& owned = context_->owned;
  for (auto own = owned.begin(); own != owned.end();) {
    if (own->second.session != this) {
      ++own;
      continue;
    }
    const HoldId hold = own->first;
    const bool is_leased = own->second.is_leased;
    own = owned.erase(own);
    if (!is_leased) continue;
    try {
      log_hold("operator of a hold disconnected", hold);
      context_->server->core().hold_left(hold, context_->server->now());
    } catch (const std::exception&) {
      ++context_->server->core().counters().task_failures;
    }
    own = owned.upper_bound(hold);  // the core may have ended others
  }
}

wire::ControlResponse ControlSession::hold_answer(HoldId hold) const {
  if (auto info = context_->server->core().hold(hold)) return *std::move(info);
  return ControlError{ControlError::Code::kNotFound, "the hold has ended, and its report is gone"};
}

void ControlSession::handle(std::uint64_t id, wire::ListHolds /*request*/) {
  respond(id, context_->server->core().holds());
}

void ControlSession::handle(std::uint64_t id, const wire::EndHold& request) {
  Open* waiting = open(id, false);
  if (waiting == nullptr) return;
  waiting->ends_hold = true;
  waiting->broadcast = request.id;
  auto& server = *context_->server;
  // It may end in this call: see hold_ended().
  if (auto error = server.core().end_hold(request.id, server.now())) return respond(id, *error);
  log_hold("operator ended a hold", request.id);
}

void ControlSession::handle(std::uint64_t id, const wire::KeepHold& request) {
  auto& server = *context_->server;
  auto& owned = context_->owned;
  const bool is_new = owned.try_emplace(request.id).second;
  auto& core = server.core();
  if (auto error = request.detach ? core.detach_hold(request.id, who_.uid, server.now())
                                  : core.keep_hold(request.id, who_.uid, server.now())) {
    if (is_new) owned.erase(request.id);
    return respond(id, *error);
  }
  // Another connection that had it has it no more.
  if (const auto own = owned.find(request.id); own != owned.end()) {
    if (request.detach) {
      owned.erase(own);
    } else {
      constexpr auto kNone = std::numeric_limits<std::uint64_t>::max();
      const bool had_it = own->second.session == this;
      const std::uint64_t known = had_it ? own->second.children_after : kNone;
      own->second = {this, true, true, request.children_after.value_or(known)};
    }
  }
  log_hold(request.detach ? "operator left a hold to its time" : "operator took up a hold",
           request.id);
  respond_when_kept(id, hold_answer(request.id));
}

// --- answers that wait

bool ControlSession::wait_for_disk(Open& request) {
  const auto& when_kept = context_->facts.when_holds_kept;
  if (!request.has_hold || !when_kept) return false;
  when_kept([weak = weak_from_this(), id = request.request_id, broadcast = request.broadcast] {
    if (const auto self = weak.lock()) self->answer_kept(id, broadcast);
  });
  request.awaits_disk = true;
  return true;
}

void ControlSession::answer_kept(std::uint64_t id, BroadcastId broadcast) noexcept {
  Open* request = find(id);
  if (finishing_ || request == nullptr || request->broadcast != broadcast) return;
  if (!std::exchange(request->awaits_disk, false)) return;
  EndDelivery end(broadcast, *context_->server, context_->report_keys);
  try {
    answer_ended(*request, end);
  } catch (const std::exception&) {
    close();  // the end of the connection tells it
  }
}

void ControlSession::hold_ended(HoldId hold) noexcept {
  while (!finishing_) {
    const auto waiting = std::find_if(requests_.begin(), requests_.end(), [&](const Open& one) {
      return one.ends_hold && !one.awaits_disk && one.broadcast == hold;
    });
    if (waiting == requests_.end()) return;
    try {
      // As it ended: its report may be gone when that is on disk.
      respond_when_kept(waiting->request_id, hold_answer(hold));
    } catch (const std::exception&) {
      close();
    }
  }
}

void ControlSession::respond_when_kept(std::uint64_t id, wire::ControlResponse answer) {
  const auto& when_kept = context_->facts.when_holds_kept;
  if (!when_kept) return respond(id, answer);
  // Its number is taken until then.
  if (find(id) == nullptr && open(id, false) == nullptr) return;
  when_kept([id, weak = weak_from_this(), answer = std::move(answer)] {
    const auto self = weak.lock();
    const Open* request = self ? self->find(id) : nullptr;
    if (request != nullptr && request->awaits_disk) self->respond(id, answer);
  });
  find(id)->awaits_disk = true;
}

}  // namespace muster::daemon
