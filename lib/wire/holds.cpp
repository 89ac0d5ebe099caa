#include "wire/holds.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "muster/v1/holds.pb.h"
#include "muster/v1/report.pb.h"

#include "wire/holders.h"
#include "wire/operations.h"
#include "wire/protobuf.h"
#include "wire/values.h"

namespace muster::wire {

void to_proto(const Verification& verification, v1::Verification& out) {
  to_proto(verification.scan, *out.mutable_scan());
  out.set_scans(verification.scans);
  out.set_took_us(static_cast<std::uint64_t>(verification.took.count()));
}

std::string from_proto(const v1::Verification& in, Verification& verification) {
  verification.scans = in.scans();
  // Ages are cut, so that no number overflows.
  constexpr std::uint64_t kMost = 1'000'000'000'000'000;
  verification.took = std::chrono::microseconds(std::min(in.took_us(), kMost));
  return from_proto(in.scan(), verification.scan);
}

void to_proto(const HoldState& state, v1::HoldState& out) {
  out.set_leased(state.leased);
  out.set_owner_away(state.owner_away);
  out.set_since_unix_ms(state.since_unix_ms);
  out.set_expires_unix_ms(state.expires_unix_ms);
  if (state.ended) out.set_ended(proto_of(kHoldEnds, *state.ended));
  out.set_ended_unix_ms(state.ended_unix_ms);
  for (const HoldViolation& violation : state.violations) {
    v1::HoldViolation& added = *out.add_violations();
    to_proto(violation.holder, *added.mutable_holder());
    added.set_at_unix_ms(violation.at_unix_ms);
  }
  out.set_more_violations(state.more_violations);
  out.set_scans(state.scans);
  out.set_last_verdict(proto_of(kVerdicts, state.last_verdict));
}

std::string from_proto(const v1::HoldState& in, HoldState& state) {
  state.leased = in.leased();
  state.owner_away = in.owner_away();
  state.since_unix_ms = in.since_unix_ms();
  state.expires_unix_ms = in.expires_unix_ms();
  // What a newer broker says has ended in any case.
  if (in.ended() != v1::HoldEnded::UNSPECIFIED) {
    state.ended = value_or(kHoldEnds, in.ended(), HoldEnd::kExpired);
  }
  state.ended_unix_ms = in.ended_unix_ms();
  std::string problem;
  for (const v1::HoldViolation& violation : in.violations()) {
    HoldViolation& added = state.violations.emplace_back();
    added.at_unix_ms = violation.at_unix_ms();
    if (problem.empty()) problem = from_proto(violation.holder(), added.holder);
  }
  state.more_violations = in.more_violations();
  state.scans = in.scans();
  state.last_verdict = value_or(kVerdicts, in.last_verdict(), HolderVerdict::kUnknown);
  return problem;
}

void to_proto(const HoldInfo& hold, v1::HoldInfo& out) {
  out.set_hold_id(hold.id);
  to_proto(hold.operation, *out.mutable_operation());
  if (hold.asked_by) to_proto(*hold.asked_by, *out.mutable_asked_by());
  out.set_acked(hold.acked);
  to_proto(hold.state, *out.mutable_state());
}

std::string from_proto(const v1::HoldInfo& in, HoldInfo& hold) {
  hold.id = in.hold_id();
  std::optional<BroadcastOperation> operation;
  if (auto problem = from_proto(in.operation(), operation); !problem.empty()) return problem;
  hold.operation = std::move(*operation);
  if (in.has_asked_by()) hold.asked_by = operator_of(in.asked_by());
  hold.acked = in.acked();
  return from_proto(in.state(), hold.state);
}

void to_proto(const std::vector<HoldInfo>& holds, v1::HoldList& out) {
  for (const HoldInfo& hold : holds) to_proto(hold, *out.add_holds());
}

std::string from_proto(const v1::HoldList& in, std::vector<HoldInfo>& holds) {
  for (const v1::HoldInfo& hold : in.holds()) {
    if (auto problem = from_proto(hold, holds.emplace_back()); !problem.empty()) return problem;
  }
  return {};
}

}  // namespace muster::wire
