// An operator's requests, written and read.
#include "muster/v1/control.pb.h"

#include "wire/control_lane.h"
#include "wire/convert.h"
#include "wire/envelope.h"
#include "wire/parse.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

using Message = decltype(ControlRequestFrame::message);

std::string take_start(const v1::StartBroadcast& in, const Envelope& envelope, Message& message) {
  auto& start = message.emplace<StartBroadcast>();
  auto problem = over_limit("traceparent", envelope.traceparent, kMaxTraceBytes);
  if (problem.empty()) problem = over_limit("tracestate", envelope.tracestate, kMaxTraceBytes);
  if (problem.empty()) problem = from_proto(in, start.request);
  start.request.traceparent = envelope.traceparent;
  start.request.tracestate = envelope.tracestate;
  start.detach = in.detach();
  start.dry_run = in.dry_run();
  start.events = in.events();
  return problem;
}

std::string take_request(const v1::ControlRequest& in, const Envelope& envelope, Message& message) {
  switch (in.request_case()) {
    case v1::ControlRequest::kPing:
      message = Ping{};
      return {};
    case v1::ControlRequest::kStartBroadcast:
      return take_start(in.start_broadcast(), envelope, message);
    case v1::ControlRequest::kGetReport:
      message = GetReport{in.get_report().broadcast_id(), in.get_report().wait()};
      return {};
    case v1::ControlRequest::kCancelBroadcast:
      message = CancelBroadcast{in.cancel_broadcast().broadcast_id()};
      return {};
    case v1::ControlRequest::kListBackends:
      return from_proto(in.list_backends().selection(), message.emplace<ListBackends>().selection);
    case v1::ControlRequest::kGetStatus:
      message = GetStatus{};
      return {};
    case v1::ControlRequest::kWatch:
      message = Watch{};
      return {};
    case v1::ControlRequest::kExplainPolicy:
      return from_proto(in.explain_policy(), message.emplace<PolicyQuestion>());
    case v1::ControlRequest::kResume: {
      auto& resume = message.emplace<Resume>();
      resume.id = in.resume().broadcast_id();
      return from_proto(in.resume().selection(), resume.selection);
    }
    case v1::ControlRequest::kForgetBackend:
      return from_proto(in.forget_backend().key(), message.emplace<ForgetBackend>().key);
    case v1::ControlRequest::REQUEST_NOT_SET:
      break;
  }
  return "the payload is empty or has a request that this broker does not know";
}

struct RequestToProto {
  v1::ControlRequest& out;

  void operator()(const Ping& /*ping*/) const { out.mutable_ping(); }
  void operator()(const StartBroadcast& start) const {
    auto& message = *out.mutable_start_broadcast();
    to_proto(start.request, message);
    message.set_detach(start.detach);
    message.set_dry_run(start.dry_run);
    message.set_events(start.events);
  }
  void operator()(const GetReport& get) const {
    out.mutable_get_report()->set_broadcast_id(get.id);
    out.mutable_get_report()->set_wait(get.wait);
  }
  void operator()(const CancelBroadcast& cancel) const {
    out.mutable_cancel_broadcast()->set_broadcast_id(cancel.id);
  }
  void operator()(const ListBackends& list) const {
    to_proto(list.selection, *out.mutable_list_backends()->mutable_selection());
  }
  void operator()(const GetStatus& /*get*/) const { out.mutable_get_status(); }
  void operator()(const Watch& /*watch*/) const { out.mutable_watch(); }
  void operator()(const PolicyQuestion& question) const {
    to_proto(question, *out.mutable_explain_policy());
  }
  void operator()(const Resume& resume) const {
    out.mutable_resume()->set_broadcast_id(resume.id);
    to_proto(resume.selection, *out.mutable_resume()->mutable_selection());
  }
  void operator()(const ForgetBackend& forget) const {
    to_proto(forget.key, *out.mutable_forget_backend()->mutable_key());
  }
  void operator()(const Cancel& /*cancel*/) const {}  // a frame without a payload
};

}  // namespace

struct ControlRequestDecoder::Scratch {
  EnvelopeReader reader;
  v1::ControlRequest request;
};

ControlRequestDecoder::ControlRequestDecoder() : scratch_(std::make_unique<Scratch>()) {}
ControlRequestDecoder::~ControlRequestDecoder() = default;

std::string ControlRequestDecoder::decode(std::string_view body, ControlRequestFrame& out) {
  return with_scratch(scratch_, [&]() -> std::string {
    Envelope envelope;
    auto problem = scratch_->reader.read(body, kControlLane, envelope);
    if (!problem.empty()) return problem;
    if (envelope.kind == FrameKind::kCancel) {
      out.request_id = envelope.request_id;
      out.message = Cancel{};
      return {};
    }
    v1::ControlRequest& request = scratch_->request;
    if (!may_be_parsed(shapes::kControlRequest, envelope.payload)) {
      return "the request is malformed or has more than " +
             std::to_string(kMaxFieldsOfLongMessage) + " fields";
    }
    problem = parse_payload(request, envelope.payload);
    Message message;
    if (problem.empty()) problem = take_request(request, envelope, message);
    if (envelope.payload.size() > kLongMessage) v1::ControlRequest().Swap(&request);
    if (!problem.empty()) return problem;
    if (envelope.kind != FrameKind::kRequest) {
      return wrong_kind("a request", FrameKind::kRequest, envelope.kind);
    }
    out.request_id = envelope.request_id;
    out.message = std::move(message);
    return {};
  });
}

std::string encode(const ControlRequestFrame& frame) {
  if (std::holds_alternative<Cancel>(frame.message)) {
    return encode_cancel(kControlLane, frame.request_id);
  }
  v1::ControlRequest request;
  std::visit(RequestToProto{request}, frame.message);
  std::string traceparent;
  std::string tracestate;
  if (const auto* start = std::get_if<StartBroadcast>(&frame.message)) {
    traceparent = to_utf8(start->request.traceparent);
    tracestate = to_utf8(start->request.tracestate);
  }
  Envelope envelope;
  envelope.kind = FrameKind::kRequest;
  envelope.lane = kControlLane;
  envelope.request_id = frame.request_id;
  envelope.traceparent = traceparent;
  envelope.tracestate = tracestate;
  return encode_frame(envelope, request);
}

}  // namespace muster::wire
