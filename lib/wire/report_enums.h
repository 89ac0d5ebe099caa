// The enumerations of a report, between values and the wire.
#pragma once

#include "muster/report.h"
#include "muster/v1/control.pb.h"

#include "wire/enums.h"

namespace muster::wire {

inline constexpr EnumTable<OutcomeKind, v1::BackendOutcome::Outcome, 5> kOutcomes{{
    {OutcomeKind::kOpen, v1::BackendOutcome::OPEN},
    {OutcomeKind::kAck, v1::BackendOutcome::ACK},
    {OutcomeKind::kTimeout, v1::BackendOutcome::TIMEOUT},
    {OutcomeKind::kFailure, v1::BackendOutcome::FAILURE},
    {OutcomeKind::kSkippedDead, v1::BackendOutcome::SKIPPED_DEAD},
}};

inline constexpr EnumTable<BroadcastState, v1::BroadcastReport::State, 3> kStates{{
    {BroadcastState::kRunning, v1::BroadcastReport::RUNNING},
    {BroadcastState::kFinished, v1::BroadcastReport::FINISHED},
    {BroadcastState::kCancelled, v1::BroadcastReport::CANCELLED},
}};

}  // namespace muster::wire
