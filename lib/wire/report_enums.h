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

inline constexpr EnumTable<QuiesceReason, v1::Quiesce::Reason, 3> kQuiesceReasons{{
    {QuiesceReason::kIdleTimeout, v1::Quiesce::IDLE_TIMEOUT},
    {QuiesceReason::kBrokerShutdown, v1::Quiesce::BROKER_SHUTDOWN},
    {QuiesceReason::kMaintenance, v1::Quiesce::MAINTENANCE},
}};

inline constexpr EnumTable<SaidBy, v1::Statement::SaidBy, 3> kSaidBy{{
    {SaidBy::kBroker, v1::Statement::BROKER},
    {SaidBy::kBackend, v1::Statement::BACKEND},
    {SaidBy::kKernel, v1::Statement::KERNEL},
}};

inline constexpr EnumTable<Cause, v1::Statement::Cause, 14> kCauses{{
    {Cause::kNone, v1::Statement::NONE},
    {Cause::kAnswer, v1::Statement::ANSWER},
    {Cause::kAckTimeout, v1::Statement::ACK_TIMEOUT},
    {Cause::kDeadline, v1::Statement::DEADLINE},
    {Cause::kCancelled, v1::Statement::CANCELLED},
    {Cause::kProcessExited, v1::Statement::PROCESS_EXITED},
    {Cause::kClosed, v1::Statement::CLOSED},
    {Cause::kSlowReader, v1::Statement::SLOW_READER},
    {Cause::kUserQuota, v1::Statement::USER_QUOTA},
    {Cause::kProtocolError, v1::Statement::PROTOCOL_ERROR},
    {Cause::kDeregistered, v1::Statement::DEREGISTERED},
    {Cause::kBrokerRestarted, v1::Statement::BROKER_RESTARTED},
    {Cause::kForgotten, v1::Statement::FORGOTTEN},
    {Cause::kBrokerError, v1::Statement::BROKER_ERROR},
}};

inline constexpr EnumTable<BroadcastState, v1::BroadcastReport::State, 3> kBroadcastStates{{
    {BroadcastState::kRunning, v1::BroadcastReport::RUNNING},
    {BroadcastState::kFinished, v1::BroadcastReport::FINISHED},
    {BroadcastState::kCancelled, v1::BroadcastReport::CANCELLED},
}};

inline constexpr EnumTable<Event::Kind, v1::ControlEvent::Kind, 19> kEventKinds{{
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
    {Event::Kind::kBackendLost, v1::ControlEvent::BACKEND_LOST},
    {Event::Kind::kBackendResumed, v1::ControlEvent::BACKEND_RESUMED},
    {Event::Kind::kBackendForgotten, v1::ControlEvent::BACKEND_FORGOTTEN},
}};

}  // namespace muster::wire
