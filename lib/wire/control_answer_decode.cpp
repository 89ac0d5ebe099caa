// An operator reads what the broker answers.
#include "muster/v1/control.pb.h"

#include "wire/control_lane.h"
#include "wire/convert.h"
#include "wire/envelope.h"
#include "wire/parse.h"

namespace muster::wire {
namespace {

template <typename Value, typename Proto>
std::string take(const Proto& in, std::optional<ControlResponse>& out) {
  Value value;
  if (auto problem = from_proto(in, value); !problem.empty()) return problem;
  out.emplace(std::move(value));
  return {};
}

std::string take_report(const v1::BroadcastReport& in, std::optional<ControlResponse>& out) {
  std::optional<BroadcastReport> report;
  if (auto problem = from_proto(in, report); !problem.empty()) return problem;
  out.emplace(std::move(*report));
  return {};
}

std::string take_response(const v1::ControlResponse& in, std::optional<ControlResponse>& out) {
  switch (in.response_case()) {
    case v1::ControlResponse::kError:
      return take<ControlError>(in.error(), out);
    case v1::ControlResponse::kPong:
      out.emplace(Pong{in.pong().broker_version(), in.pong().pid()});
      return {};
    case v1::ControlResponse::kAccepted: {
      const auto& accepted = in.accepted();
      out.emplace(BroadcastAccepted{accepted.broadcast_id(), accepted.targets(),
                                    accepted.skipped_dead(), accepted.joined()});
      return {};
    }
    case v1::ControlResponse::kReport:
      return take_report(in.report(), out);
    case v1::ControlResponse::kDryRun:
      return take<DryRun>(in.dry_run(), out);
    case v1::ControlResponse::kCancelAccepted:
      out.emplace(CancelAccepted{in.cancel_accepted().cancelled_targets()});
      return {};
    case v1::ControlResponse::kBackends:
      return take<std::vector<BackendInfo>>(in.backends(), out);
    case v1::ControlResponse::kStatus: {
      BrokerStatus status;
      from_proto(in.status(), status);
      out.emplace(std::move(status));
      return {};
    }
    case v1::ControlResponse::kWatching:
      out.emplace(Watching{});
      return {};
    case v1::ControlResponse::kPolicyExplanation: {
      PolicyExplanation explanation;
      from_proto(in.policy_explanation(), explanation);
      out.emplace(std::move(explanation));
      return {};
    }
    case v1::ControlResponse::kResumeAccepted:
      out.emplace(
          ResumeAccepted{in.resume_accepted().resumed(), in.resume_accepted().cannot_resume()});
      return {};
    case v1::ControlResponse::kForgotten:
      out.emplace(Forgotten{});
      return {};
    case v1::ControlResponse::RESPONSE_NOT_SET:
      break;
  }
  return "the payload is empty or has a response that is not known here";
}

}  // namespace

struct ControlAnswerDecoder::Scratch {
  EnvelopeReader reader;
  v1::ControlResponse response;
  v1::ControlEvent event;
};

ControlAnswerDecoder::ControlAnswerDecoder() : scratch_(std::make_unique<Scratch>()) {}
ControlAnswerDecoder::~ControlAnswerDecoder() = default;

std::string ControlAnswerDecoder::decode(std::string_view body,
                                         std::optional<ControlAnswerFrame>& out) {
  Envelope envelope;
  auto problem = scratch_->reader.read(body, kControlLane, envelope);
  if (!problem.empty()) return problem;
  if (envelope.kind == FrameKind::kResponse) {
    problem = parse_payload(scratch_->response, envelope.payload);
    std::optional<ControlResponse> response;
    if (problem.empty()) problem = take_response(scratch_->response, response);
    if (problem.empty()) out = ControlAnswerFrame{envelope.request_id, std::move(*response)};
    return problem;
  }
  if (envelope.kind == FrameKind::kEvent) {
    problem = parse_payload(scratch_->event, envelope.payload);
    Event event;
    if (problem.empty()) problem = from_proto(scratch_->event, event);
    if (problem.empty()) out = ControlAnswerFrame{envelope.request_id, std::move(event)};
    return problem;
  }
  return "an answer must come in a frame of kind RESPONSE or EVENT, not " +
         std::string(to_string(envelope.kind));
}

}  // namespace muster::wire
