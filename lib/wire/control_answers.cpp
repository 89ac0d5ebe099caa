// What the broker answers an operator, always within the lane's limit; and how an operator reads
// it.
#include "wire/control_lane.h"
#include "wire/envelope.h"
#include "wire/framing.h"
#include "wire/history.h"
#include "wire/holders.h"
#include "wire/holds.h"
#include "wire/protobuf.h"
#include "wire/values.h"
#include "wire/views.h"

namespace muster::wire {
namespace {

struct ResponseToProto {
  v1::ControlResponse& out;

  void operator()(const ControlError& error) const { to_proto(error, *out.mutable_error()); }
  void operator()(const Pong& pong) const {
    out.mutable_pong()->set_broker_version(to_utf8(pong.broker_version));
    out.mutable_pong()->set_pid(pong.pid);
  }
  void operator()(const BroadcastAccepted& accepted) const {
    auto& message = *out.mutable_accepted();
    message.set_broadcast_id(accepted.id);
    message.set_targets(accepted.targets);
    message.set_skipped_dead(accepted.skipped_dead);
    message.set_joined(accepted.joined);
    message.set_backends_unknown(accepted.backends_unknown);
  }
  void operator()(const BroadcastReport& /*report*/) const {}  // see encode_report()
  void operator()(const DryRun& dry_run) const { to_proto(dry_run, *out.mutable_dry_run()); }
  void operator()(const CancelAccepted& accepted) const {
    out.mutable_cancel_accepted()->set_cancelled_targets(accepted.cancelled_targets);
  }
  void operator()(const std::vector<BackendInfo>& backends) const {
    to_proto(backends, *out.mutable_backends());
  }
  void operator()(const BrokerStatus& status) const { to_proto(status, *out.mutable_status()); }
  void operator()(const ResumeAccepted& accepted) const {
    out.mutable_resume_accepted()->set_resumed(accepted.resumed);
    out.mutable_resume_accepted()->set_cannot_resume(accepted.cannot_resume);
    out.mutable_resume_accepted()->set_away(accepted.away);
    out.mutable_resume_accepted()->set_still_quiesced(accepted.still_quiesced);
  }
  void operator()(const Forgotten& /*forgotten*/) const { out.mutable_forgotten(); }
  void operator()(const HolderScan& scan) const { to_proto(scan, *out.mutable_holders()); }
  void operator()(const std::vector<HoldInfo>& holds) const {
    to_proto(holds, *out.mutable_holds());
  }
  void operator()(const HoldInfo& hold) const { to_proto(hold, *out.mutable_hold()); }
  void operator()(const HistoryPage& page) const { to_proto(page, *out.mutable_history()); }
  void operator()(const Watching& /*watching*/) const { out.mutable_watching(); }
  void operator()(const PolicyExplanation& explanation) const {
    to_proto(explanation, *out.mutable_policy_explanation());
  }
};

Envelope control_envelope(FrameKind kind, std::uint64_t request_id) {
  Envelope envelope;
  envelope.kind = kind;
  envelope.lane = kControlLane;
  envelope.request_id = request_id;
  return envelope;
}

ControlError too_large(std::size_t bytes) {
  return {ControlError::Code::kTooLarge,
          "the answer has " + std::to_string(bytes) + " bytes and the control lane carries " +
              std::to_string(kMaxControlBody) + ": ask for fewer backends with a selection"};
}

std::string report_response(const auto& report, Texts texts) {
  MessageWriter out;
  out.message(v1::ControlResponse::kReportFieldNumber, [&] { write(report, texts, out); });
  return std::move(out).take();
}

// A v1.ControlResponse.
std::string response_bytes(const ControlResponse& response) {
  v1::ControlResponse message;
  std::visit(ResponseToProto{message}, response);
  return serialize(message);
}

// `payload` is an answer's, or what an error has instead of one that is too large.
std::string encode_response(std::uint64_t request_id, std::string payload) {
  Envelope envelope = control_envelope(FrameKind::kResponse, request_id);
  if (const auto size = body_bytes(envelope, payload.size()); size > kMaxControlBody) {
    payload = response_bytes(too_large(size));
  }
  envelope.payload = payload;
  return encode_frame(envelope);
}

// `request_id`: of the longest frame that it may become.
std::string report_payload(std::uint64_t request_id, const auto& report) {
  std::string payload = report_response(report, Texts::kAll);
  const Envelope envelope = control_envelope(FrameKind::kResponse, request_id);
  if (body_bytes(envelope, payload.size()) > kMaxControlBody) {
    payload = report_response(report, Texts::kNone);
  }
  return payload;
}

std::string encode_report(std::uint64_t request_id, const auto& report) {
  return encode_response(request_id, report_payload(request_id, report));
}

constexpr std::uint64_t kLongestId = ~std::uint64_t{0};

}  // namespace

std::string payload_of(const ReportSource& report, ReportKeys& keys) {
  std::string payload = report_payload(kLongestId, RowsOfReport{report, keys});
  const Envelope envelope = control_envelope(FrameKind::kResponse, kLongestId);
  if (const auto size = body_bytes(envelope, payload.size()); size > kMaxControlBody) {
    payload = response_bytes(too_large(size));
  }
  return payload;
}

std::string payload_of(const ControlError& error) { return response_bytes(error); }

std::string payload_of(const HistoryPage& page) {
  std::string payload = response_bytes(page);
  const Envelope envelope = control_envelope(FrameKind::kResponse, kLongestId);
  if (const auto size = body_bytes(envelope, payload.size()); size > kMaxControlBody) {
    payload = response_bytes(too_large(size));
  }
  return payload;
}

std::string payload_of(const Event& event) { return message_of(event); }

FrameAround answer_around(std::uint64_t request_id, std::size_t payload_bytes) {
  return frame_around(control_envelope(FrameKind::kResponse, request_id), payload_bytes);
}

FrameAround event_around(std::uint64_t request_id, std::size_t payload_bytes) {
  return frame_around(control_envelope(FrameKind::kEvent, request_id), payload_bytes);
}

std::string list_part(const std::vector<BackendInfo>& backends) {
  v1::BackendList part;
  to_proto(backends, part);
  return serialize(part);
}

std::optional<FrameAround> list_around(std::uint64_t request_id, std::size_t list_bytes) {
  // The beginning of a v1.ControlResponse: the list's bytes are the end of it.
  MessageWriter response;
  response.length(v1::ControlResponse::kBackendsFieldNumber, list_bytes);
  const std::string head = std::move(response).take();
  const Envelope envelope = control_envelope(FrameKind::kResponse, request_id);
  const std::size_t payload_bytes = head.size() + list_bytes;
  if (body_bytes(envelope, payload_bytes) > kMaxControlBody) return std::nullopt;
  FrameAround around = frame_around(envelope, payload_bytes);
  around.before += head;
  return around;
}

ControlError too_large_list(std::size_t list_bytes) { return too_large(list_bytes); }

std::string encode(std::uint64_t request_id, const ControlResponse& response) {
  if (const auto* report = std::get_if<BroadcastReport>(&response)) {
    return encode_report(request_id, *report);
  }
  return encode_response(request_id, response_bytes(response));
}

std::string encode(std::uint64_t request_id, const ReportSource& report, ReportKeys& keys) {
  return encode_report(request_id, RowsOfReport{report, keys});
}

std::string encode(std::uint64_t request_id, const Event& event) {
  const std::string payload = message_of(event);
  Envelope envelope = control_envelope(FrameKind::kEvent, request_id);
  envelope.payload = payload;
  return encode_frame(envelope);
}

// --- reading

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
                                    accepted.skipped_dead(), accepted.joined(),
                                    accepted.backends_unknown()});
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
      out.emplace(ResumeAccepted{in.resume_accepted().resumed(),
                                 in.resume_accepted().cannot_resume(), in.resume_accepted().away(),
                                 in.resume_accepted().still_quiesced()});
      return {};
    case v1::ControlResponse::kForgotten:
      out.emplace(Forgotten{});
      return {};
    case v1::ControlResponse::kHolders:
      return take<HolderScan>(in.holders(), out);
    case v1::ControlResponse::kHolds:
      return take<std::vector<HoldInfo>>(in.holds(), out);
    case v1::ControlResponse::kHold:
      return take<HoldInfo>(in.hold(), out);
    case v1::ControlResponse::kHistory:
      return take<HistoryPage>(in.history(), out);
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
  return with_scratch(scratch_, [&]() -> std::string {
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
  });
}

}  // namespace muster::wire
