// An operator's requests, written and read.
#include <array>

#include "wire/control_lane.h"
#include "wire/envelope.h"
#include "wire/history.h"
#include "wire/operations.h"
#include "wire/protobuf.h"
#include "wire/values.h"

namespace muster::wire {
namespace {

using Message = decltype(ControlRequestFrame::message);
using Selectors = google::protobuf::RepeatedPtrField<v1::Selector>;

// --- which fields are messages

constexpr Shape::Field kSelectorFields[]{{1, &kPlainShape}};
constexpr Shape kSelector{kSelectorFields};

constexpr Shape::Field kPreflightFields[]{{1, &kPlainShape, true}, {2, &kPlainShape, true}};
constexpr Shape kPreflight{kPreflightFields};

constexpr auto kStartBroadcastFields = [] {
  std::array<Shape::Field, kStartFields.size() + 3> fields{};
  fields.back() = {v1::StartBroadcast::kSelectionFieldNumber, &kSelector};
  fields[kStartFields.size()] = {v1::StartBroadcast::kVerifyFieldNumber, &kPlainShape};
  fields[kStartFields.size() + 1] = {v1::StartBroadcast::kHoldFieldNumber, &kPlainShape};
  for (std::size_t i = 0; i < kStartFields.size(); ++i) {
    const bool is_preflight = kStartFields[i] == v1::StartBroadcast::kPreflightFieldNumber;
    fields[i] = {kStartFields[i], is_preflight ? &kPreflight : &kPlainShape, true};
  }
  return fields;
}();
constexpr Shape kStartBroadcast{kStartBroadcastFields};

constexpr Shape::Field kResumeFields[]{{2, &kSelector}};
constexpr Shape kResume{kResumeFields};

constexpr Shape::Field kForgetBackendFields[]{{1, &kPlainShape}};
constexpr Shape kForgetBackend{kForgetBackendFields};

constexpr Shape::Field kListBackendsFields[]{{1, &kSelector}};
constexpr Shape kListBackends{kListBackendsFields};

constexpr Shape::Field kExplainPolicyFields[]{{4, &kPlainShape, true}, {5, &kPlainShape, true}};
constexpr Shape kExplainPolicy{kExplainPolicyFields};

constexpr Shape::Field kControlRequestFields[]{
    {1, &kPlainShape, true},     {2, &kStartBroadcast, true}, {3, &kPlainShape, true},
    {4, &kPlainShape, true},     {5, &kListBackends, true},   {6, &kPlainShape, true},
    {7, &kPlainShape, true},     {10, &kExplainPolicy, true}, {11, &kResume, true},
    {12, &kForgetBackend, true}, {13, &kPlainShape, true},    {14, &kPlainShape, true},
    {15, &kPlainShape, true},    {16, &kPlainShape, true},    {17, &kPlainShape, true},
};
constexpr Shape kControlRequest{kControlRequestFields};

// --- selections, broadcasts, questions about policy

// Each is tried against each backend.
constexpr int kMaxSelectors = 256;

void write_message(const Selection& selection, Selectors& out) {
  for (const auto& selector : selection) {
    auto& added = *out.Add();
    for (const auto& term : selector.terms()) {
      auto& added_term = *added.add_terms();
      added_term.set_field(to_utf8(term.field));
      added_term.set_glob(to_utf8(term.glob));
    }
  }
}

std::string read_message(const Selectors& in, Selection& selection) {
  if (in.size() > kMaxSelectors) {
    return "the selection has " + std::to_string(in.size()) + " selectors; the most is " +
           std::to_string(kMaxSelectors);
  }
  for (const auto& selector : in) {
    std::vector<SelectorTerm> terms;
    for (const auto& term : selector.terms()) terms.push_back({term.field(), term.glob()});
    auto parsed = Selector::from_terms(std::move(terms));
    if (!parsed.problem.empty()) return std::move(parsed.problem);
    selection.push_back(std::move(parsed.selector));
  }
  return {};
}

void write_message(const BroadcastRequest& request, v1::StartBroadcast& out) {
  operation_to_proto(request.operation, out);
  if (request.ack_timeout) out.set_ack_timeout_ms(to_ms(*request.ack_timeout));
  if (request.deadline) out.set_deadline_ms(to_ms(*request.deadline));
  write_message(request.selection, *out.mutable_selection());
  out.set_operation_key(to_utf8(request.operation_key));
  if (request.verify) {
    out.mutable_verify()->set_wait_ms(to_ms(request.verify_wait));
    out.mutable_verify()->set_mount_namespace(request.mount_namespace);
  }
  if (request.hold) {
    out.mutable_hold()->set_leased(request.hold->leased);
    if (request.hold->ttl) out.mutable_hold()->set_ttl_ms(to_ms(*request.hold->ttl));
  }
}

std::string read_message(const v1::StartBroadcast& in, BroadcastRequest& request) {
  std::optional<BroadcastOperation> operation;
  if (auto problem = operation_from_proto(in, operation); !problem.empty()) return problem;
  request.operation = std::move(*operation);
  if (in.has_ack_timeout_ms()) {
    request.ack_timeout = std::chrono::milliseconds(in.ack_timeout_ms());
  }
  if (in.has_deadline_ms()) request.deadline = std::chrono::milliseconds(in.deadline_ms());
  request.operation_key = in.operation_key();
  if (in.has_verify()) {
    request.verify = true;
    request.verify_wait = std::chrono::milliseconds(in.verify().wait_ms());
    request.mount_namespace = in.verify().mount_namespace();
  }
  if (in.has_hold()) {
    HoldRequest& hold = request.hold.emplace();
    hold.leased = in.hold().leased();
    if (in.hold().has_ttl_ms()) hold.ttl = std::chrono::milliseconds(in.hold().ttl_ms());
  }
  return read_message(in.selection(), request.selection);
}

struct QuestionToProto {
  v1::ExplainPolicy& out;

  void operator()(std::monostate /*nothing*/) const {}
  void operator()(const PolicyQuestion::Registration& registration) const {
    auto& message = *out.mutable_registration();
    message.set_service(to_utf8(registration.service));
    message.set_instance(to_utf8(registration.instance.to_string()));
  }
  void operator()(const PolicyQuestion::Control& control) const {
    auto& message = *out.mutable_control();
    message.set_action(to_proto(control.action));
    message.set_path(control.path);
  }
};

void write_message(const PolicyQuestion& question, v1::ExplainPolicy& out) {
  out.set_uid(question.uid);
  out.set_gid(question.gid);
  for (const gid_t group : question.groups) out.add_groups(group);
  std::visit(QuestionToProto{out}, question.about);
}

KeepHold keep_hold_of(const v1::KeepHold& in) {
  KeepHold keep{in.hold_id(), in.detach(), {}};
  if (in.has_children_after()) keep.children_after = in.children_after();
  return keep;
}

std::string read_message(const v1::ExplainPolicy& in, PolicyQuestion& question) {
  question.uid = in.uid();
  question.gid = in.gid();
  if (static_cast<std::size_t>(in.groups_size()) > PolicyQuestion::kMaxGroups) {
    return "the question has " + std::to_string(in.groups_size()) + " groups; the most is " +
           std::to_string(PolicyQuestion::kMaxGroups);
  }
  question.groups.assign(in.groups().begin(), in.groups().end());
  if (in.has_registration()) {
    auto& registration = question.about.emplace<PolicyQuestion::Registration>();
    registration.service = in.registration().service();
    auto instance = Instance::parse(in.registration().instance());
    if (!instance) {
      return "the question's instance is none: give shared, private:SERVICE or explicit:NAME";
    }
    registration.instance = std::move(*instance);
  } else if (in.has_control()) {
    auto& control = question.about.emplace<PolicyQuestion::Control>();
    control.path = in.control().path();
    return from_proto(in.control().action(), control.action);
  }
  return {};
}

// --- requests

std::string take_start(const v1::StartBroadcast& in, const Envelope& envelope, Message& message) {
  auto& start = message.emplace<StartBroadcast>();
  auto problem = over_limit("traceparent", envelope.traceparent, kMaxTraceBytes);
  if (problem.empty()) problem = over_limit("tracestate", envelope.tracestate, kMaxTraceBytes);
  if (problem.empty()) problem = read_message(in, start.request);
  start.request.traceparent = envelope.traceparent;
  start.request.tracestate = envelope.tracestate;
  start.detach = in.detach();
  start.dry_run = in.dry_run();
  start.events = in.events();
  return problem;
}

std::string take_forget(const v1::ForgetBackend& in, ForgetBackend& forget) {
  forget.lost_roster = in.lost_roster();
  if (forget.lost_roster && in.has_key()) {
    return "a request forgets a backend or a lost roster, not both: send two";
  }
  return forget.lost_roster ? std::string() : from_proto(in.key(), forget.key);
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
      return read_message(in.list_backends().selection(),
                          message.emplace<ListBackends>().selection);
    case v1::ControlRequest::kGetStatus:
      message = GetStatus{};
      return {};
    case v1::ControlRequest::kWatch:
      message = Watch{};
      return {};
    case v1::ControlRequest::kExplainPolicy:
      return read_message(in.explain_policy(), message.emplace<PolicyQuestion>());
    case v1::ControlRequest::kResume: {
      auto& resume = message.emplace<Resume>();
      resume.id = in.resume().broadcast_id();
      return read_message(in.resume().selection(), resume.selection);
    }
    case v1::ControlRequest::kForgetBackend:
      return take_forget(in.forget_backend(), message.emplace<ForgetBackend>());
    case v1::ControlRequest::kFindHolders:
      message = FindHolders{in.find_holders().path(), in.find_holders().mount_namespace()};
      return {};
    case v1::ControlRequest::kListHolds:
      message = ListHolds{};
      return {};
    case v1::ControlRequest::kEndHold:
      message = EndHold{in.end_hold().hold_id()};
      return {};
    case v1::ControlRequest::kKeepHold:
      message = keep_hold_of(in.keep_hold());
      return {};
    case v1::ControlRequest::kGetHistory:
      return from_proto(in.get_history(), message.emplace<HistoryQuery>());
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
    write_message(start.request, message);
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
    write_message(list.selection, *out.mutable_list_backends()->mutable_selection());
  }
  void operator()(const GetStatus& /*get*/) const { out.mutable_get_status(); }
  void operator()(const Watch& /*watch*/) const { out.mutable_watch(); }
  void operator()(const PolicyQuestion& question) const {
    write_message(question, *out.mutable_explain_policy());
  }
  void operator()(const Resume& resume) const {
    out.mutable_resume()->set_broadcast_id(resume.id);
    write_message(resume.selection, *out.mutable_resume()->mutable_selection());
  }
  void operator()(const ForgetBackend& forget) const {
    out.mutable_forget_backend()->set_lost_roster(forget.lost_roster);
    if (!forget.lost_roster) to_proto(forget.key, *out.mutable_forget_backend()->mutable_key());
  }
  void operator()(const FindHolders& find) const {
    out.mutable_find_holders()->set_path(find.path);
    out.mutable_find_holders()->set_mount_namespace(find.mount_namespace);
  }
  void operator()(const ListHolds& /*list*/) const { out.mutable_list_holds(); }
  void operator()(const EndHold& end) const { out.mutable_end_hold()->set_hold_id(end.id); }
  void operator()(const KeepHold& keep) const {
    out.mutable_keep_hold()->set_hold_id(keep.id);
    out.mutable_keep_hold()->set_detach(keep.detach);
    if (keep.children_after) out.mutable_keep_hold()->set_children_after(*keep.children_after);
  }
  void operator()(const HistoryQuery& query) const { to_proto(query, *out.mutable_get_history()); }
  void operator()(const Cancel& /*cancel*/) const {}  // a frame without a payload
};

}  // namespace

const Shape& control_request_shape() noexcept { return kControlRequest; }

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
    if (!may_be_parsed(kControlRequest, envelope.payload)) {
      return "the request is malformed or has more than " +
             std::to_string(kMaxFieldsOfLongMessage) + " fields";
    }
    problem = set_twice(kControlRequest, envelope.payload);
    if (!problem.empty()) return problem;
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
