// The enumerations of reports and events, between values and the wire.
#pragma once

#include "muster/broker_view.h"
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

inline constexpr EnumTable<BroadcastState, v1::BroadcastReport::State, 3> kBroadcastStates{{
    {BroadcastState::kRunning, v1::BroadcastReport::RUNNING},
    {BroadcastState::kFinished, v1::BroadcastReport::FINISHED},
    {BroadcastState::kCancelled, v1::BroadcastReport::CANCELLED},
}};

inline constexpr EnumTable<Event::Kind, v1::ControlEvent::Kind, 16> kEventKinds{{
    {Event::Kind::kBackendRegistered, v1::ControlEvent::BACKEND_REGISTERED},
    {Event::Kind::kBackendReturned, v1::ControlEvent::BACKEND_RETURNED},
    {Event::Kind::kBackendReconnecting, v1::ControlEvent::BACKEND_RECONNECTING},
    {Event::Kind::kBackendDead, v1::ControlEvent::BACKEND_DEAD},
    {Event::Kind::kBackendDeregistered, v1::ControlEvent::BACKEND_DEREGISTERED},
    {Event::Kind::kPeerRefused, v1::ControlEvent::PEER_REFUSED},
    {Event::Kind::kBroadcastStarted, v1::ControlEvent::BROADCAST_STARTED},
    {Event::Kind::kOutcome, v1::ControlEvent::OUTCOME},
    {Event::Kind::kWorking, v1::ControlEvent::WORKING},
    {Event::Kind::kRedelivered, v1::ControlEvent::REDELIVERED},
    {Event::Kind::kLateAnswer, v1::ControlEvent::LATE_ANSWER},
    {Event::Kind::kDuplicateAnswer, v1::ControlEvent::DUPLICATE_ANSWER},
    {Event::Kind::kUnmatchedAnswer, v1::ControlEvent::UNMATCHED_ANSWER},
    {Event::Kind::kBroadcastFinished, v1::ControlEvent::BROADCAST_FINISHED},
    {Event::Kind::kShuttingDown, v1::ControlEvent::SHUTTING_DOWN},
    {Event::Kind::kEventsLost, v1::ControlEvent::EVENTS_LOST},
}};

}  // namespace muster::wire
