// What the kernel says after the last outcome of a release: who still has files in use.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "core/broker_state.h"

namespace muster::core {
namespace {

// When no further scan begins.
SteadyTime scans_until(const Broadcast& broadcast) {
  const SteadyTime until = broadcast.ended + broadcast.request.verify_wait;
  const auto& whole = broadcast.request.deadline;
  return whole ? std::min(until, broadcast.started + *whole) : until;
}

}  // namespace

bool Broker::State::order_scan(BroadcastId id, const BroadcastOperation& operation,
                               std::uint64_t mount_namespace,
                               const std::optional<Operator>& asked_by) noexcept {
  try {
    ScanOrder order;
    order.id = id;
    if (const auto* release = operation.as_release_handles()) order.path = release->path_prefix;
    order.mount_namespace = mount_namespace;
    order.asked_by = asked_by;
    shell.scan(order);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Broker::State::verify(Broadcast& broadcast, Now now) {
  if (shutting_down) return stop_verifying(broadcast, now);
  tell(Event::Kind::kVerifying, broadcast, now);
  order_verification(broadcast, now);
}

void Broker::State::order_verification(Broadcast& broadcast, Now now) {
  broadcast.proof->is_scanning = order_scan(broadcast.id, broadcast.request.operation,
                                            broadcast.request.mount_namespace, broadcast.asked_by);
  if (!broadcast.proof->is_scanning) end_verifying(broadcast, now);
}

void Broker::scanned(BroadcastId id, HolderScan scan, Now now) {
  auto& state = *state_;
  Broadcast* const broadcast = state.log.find(id);
  if (broadcast != nullptr && broadcast->state == BroadcastState::kVerifying) {
    if (broadcast->proof->is_scanning) {
      state.verification_scanned(*broadcast, std::move(scan), now);
    }
    return;
  }
  Hold* const hold = state.holds.find(id);
  if (hold != nullptr && hold->is_scanning) state.hold_scanned(*hold, scan, now);
}

void Broker::State::verification_scanned(Broadcast& broadcast, HolderScan scan, Now now) {
  Proof& proof = *broadcast.proof;
  proof.is_scanning = false;
  proof.verification.scan = std::move(scan);
  ++proof.verification.scans;
  proof.verification.took =
      std::chrono::duration_cast<std::chrono::microseconds>(now.steady - broadcast.ended);
  const SteadyTime next = now.steady + config.verify_scan_interval;
  const bool is_clear = proof.verification.scan.verdict == HolderVerdict::kClear;
  if (is_clear || next > scans_until(broadcast)) return end_verifying(broadcast, now);
  Deadline deadline;
  deadline.kind = Deadline::Kind::kVerify;
  deadline.broadcast = &broadcast;
  try {
    proof.again = arm(deadline, next);
  } catch (const std::bad_alloc&) {
    end_verifying(broadcast, now);
  }
}

void Broker::State::stop_verifying(Broadcast& broadcast, Now now) {
  broadcast.proof->verification = {};
  end_verifying(broadcast, now);
}

void Broker::State::stop_verifying_all(Now now) {
  BroadcastId next = 0;
  do {
    next = 0;
    log.for_each_running([&](const Broadcast& broadcast) {
      if (next == 0 && broadcast.state == BroadcastState::kVerifying) next = broadcast.id;
    });
    if (next != 0) stop_verifying(*log.find(next), now);
  } while (next != 0);
}

void Broker::State::end_verifying(Broadcast& broadcast, Now now) {
  Proof& proof = *broadcast.proof;
  disarm(proof.again);
  proof.is_scanning = false;
  broadcast.state = broadcast.cancelling ? BroadcastState::kCancelled : BroadcastState::kFinished;
  Hold* const hold = holds.find(broadcast.id);
  if (hold != nullptr && broadcast.cancelling) {
    finish_hold(broadcast.id, HoldEnd::kAbandoned, now);
  } else if (hold != nullptr) {
    unless_out_of_memory([&] {
      for (const Holder& holder : proof.verification.scan.holders) {
        hold->known.push_back(HolderName::of(holder));
      }
      if (proof.verification.scan.held_by_unknown()) {
        hold->known.push_back({0, 0, HolderName::kNotFound});
      }
    });
    scan_hold_later(*hold, config.hold_scan_interval, now);
  }
  finish(broadcast, now);
}

}  // namespace muster::core
