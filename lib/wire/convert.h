// Values to Protobuf messages and back.
//
// to_proto() fills a fresh message; text is made UTF-8. from_proto() returns an empty string when
// all went well, else the sentence to refuse with; what it wrote by then does not count. None of
// them throws on any message. Pure functions, any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/access.h"
#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/registration.h"
#include "muster/v1/control.pb.h"
#include "muster/v1/lifecycle.pb.h"

namespace muster::wire {

// --- convert_basics.cpp, convert_operation.cpp

// Cut to what 32 bits hold; negative is 0.
[[nodiscard]] std::uint32_t to_ms(std::chrono::milliseconds duration) noexcept;
// Milliseconds with three decimals; negative is 0.
[[nodiscard]] double to_fractional_ms(std::chrono::microseconds duration) noexcept;
// `what` names the field in the sentence about a number that is no duration.
[[nodiscard]] std::string from_fractional_ms(std::string_view what, double ms,
                                             std::chrono::microseconds& out);

void to_proto(const BackendKey& key, v1::BackendKey& out);
[[nodiscard]] std::string from_proto(const v1::BackendKey& in, BackendKey& key);

[[nodiscard]] v1::Failure::Reason to_proto(BroadcastFailureReason reason) noexcept;
[[nodiscard]] std::string from_proto(v1::Failure::Reason in, BroadcastFailureReason& reason);
// UNSPECIFIED is none.
[[nodiscard]] std::string from_proto(v1::Failure::Reason in,
                                     std::optional<BroadcastFailureReason>& reason);

// For a message that has the oneof {release_handles, quiesce} of the backend lane.
template <typename Proto>
void operation_to_proto(const BroadcastOperation& operation, Proto& out);
template <typename Proto>
[[nodiscard]] std::string operation_from_proto(const Proto& in,
                                               std::optional<BroadcastOperation>& operation);
extern template void operation_to_proto(const BroadcastOperation&, v1::Operation&);
extern template void operation_to_proto(const BroadcastOperation&, v1::StartBroadcast&);
extern template std::string operation_from_proto(const v1::Operation&,
                                                 std::optional<BroadcastOperation>&);
extern template std::string operation_from_proto(const v1::StartBroadcast&,
                                                 std::optional<BroadcastOperation>&);

void to_proto(const BroadcastOperation& operation, v1::ReportedOperation& out);
[[nodiscard]] std::string from_proto(const v1::ReportedOperation& in,
                                     std::optional<BroadcastOperation>& operation);

[[nodiscard]] v1::ExplainPolicy::Action to_proto(ControlAction action) noexcept;
[[nodiscard]] std::string from_proto(v1::ExplainPolicy::Action in, ControlAction& action);

// --- convert_backend.cpp: the backend lane

void to_proto(const Registration& registration, v1::Register& out);
[[nodiscard]] std::string from_proto(const v1::Register& in, Registration& registration);
void to_proto(const Ack& ack, v1::Ack& out);
[[nodiscard]] std::string from_proto(const v1::Ack& in, Ack& ack);
void to_proto(const Failure& failure, v1::Failure& out);
[[nodiscard]] std::string from_proto(const v1::Failure& in, Failure& failure);
void to_proto(const Working& working, v1::Working& out);
[[nodiscard]] std::string from_proto(const v1::Working& in, Working& working);

void from_proto(const v1::Registered& in, Registered& registered);
void to_proto(const Refusal& refusal, v1::Refused& out);
[[nodiscard]] std::string from_proto(const v1::Refused& in, Refusal& refusal);
// Without what travels in the envelope: id, deadline, trace context.
void to_proto(const OutgoingOperation& operation, v1::Operation& out);
[[nodiscard]] std::string from_proto(const v1::Operation& in, OutgoingOperation& operation);
void to_proto(const HoldEnded& ended, v1::HoldEnded& out);
[[nodiscard]] std::string from_proto(const v1::HoldEnded& in, HoldEnded& ended);

// --- convert_report.cpp; report_encode.h writes them

[[nodiscard]] Operator operator_of(const v1::Operator& in);
void to_proto(const Operator& who, v1::Operator& out);

[[nodiscard]] std::string from_proto(const v1::BackendOutcome& in, BackendOutcome& outcome);
[[nodiscard]] std::string from_proto(const v1::BroadcastReport& in,
                                     std::optional<BroadcastReport>& report);

// --- convert_view.cpp: what an operator is shown besides

void to_proto(const BackendInfo& info, v1::BackendInfo& out);
[[nodiscard]] std::string from_proto(const v1::BackendInfo& in, BackendInfo& info);
void to_proto(const std::vector<BackendInfo>& backends, v1::BackendList& out);
[[nodiscard]] std::string from_proto(const v1::BackendList& in, std::vector<BackendInfo>& backends);
void to_proto(const DryRun& dry_run, v1::DryRun& out);
[[nodiscard]] std::string from_proto(const v1::DryRun& in, DryRun& dry_run);
void to_proto(const ControlError& error, v1::ControlError& out);
[[nodiscard]] std::string from_proto(const v1::ControlError& in, ControlError& error);

// --- convert_status.cpp, convert_event.cpp

void to_proto(const BrokerStatus& status, v1::Status& out);
void from_proto(const v1::Status& in, BrokerStatus& status);
[[nodiscard]] std::string from_proto(const v1::ControlEvent& in, Event& event);

// --- convert_access.cpp

void to_proto(const PolicyQuestion& question, v1::ExplainPolicy& out);
[[nodiscard]] std::string from_proto(const v1::ExplainPolicy& in, PolicyQuestion& question);
void to_proto(const PolicyExplanation& explanation, v1::PolicyExplanation& out);
void from_proto(const v1::PolicyExplanation& in, PolicyExplanation& explanation);

// --- convert_request.cpp

using Selectors = google::protobuf::RepeatedPtrField<v1::Selector>;
void to_proto(const Selection& selection, Selectors& out);
[[nodiscard]] std::string from_proto(const Selectors& in, Selection& selection);
// Without the trace context, which travels in the envelope.
void to_proto(const BroadcastRequest& request, v1::StartBroadcast& out);
[[nodiscard]] std::string from_proto(const v1::StartBroadcast& in, BroadcastRequest& request);

}  // namespace muster::wire
