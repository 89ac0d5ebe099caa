// What each request of an operator does. See proto/muster/v1/control.proto.
#include <new>
#include <optional>
#include <unistd.h>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "broker/broker_server.h"
#include "core/access_policy.h"
#include "musterd/control/control_access.h"
#include "musterd/control/control_session.h"

namespace muster::daemon {
namespace {

// A hold must have what it lasts for, and the other reasons are the broker's own to give.
std::optional<ControlError> problem_of(const wire::StartBroadcast& start) {
  const BroadcastRequest& request = start.request;
  if (start.detach && request.hold && request.hold->leased) {
    return ControlError{ControlError::Code::kInvalid,
                        "a hold that ends with its connection cannot be detached from it: wait for "
                        "the result, or give the hold a time instead"};
  }
  const auto* quiesce = request.operation.about_quiesce();
  if (quiesce == nullptr || quiesce->reason == QuiesceReason::kMaintenance) return std::nullopt;
  return ControlError{
      ControlError::Code::kInvalid,
      fmt::format("a quiesce for {} is the broker's own affair: operators ask for maintenance",
                  to_string(quiesce->reason))};
}

// What a broadcast that runs already looks like to somebody who follows it from now on.
Event how_it_stands(const ReportSource& report, std::uint64_t now_unix_ms) {
  const ReportHead head = report.head();
  Event event;
  event.kind = Event::Kind::kBroadcastStarted;
  event.joined = true;
  event.unix_ms = now_unix_ms;
  event.broadcast_id = head.broadcast_id;
  event.operation = head.operation->to_string();
  if (head.asked_by != nullptr) event.asked_by = *head.asked_by;
  event.backends_unknown = head.backends_unknown;
  report.for_each_backend([&](const OutcomeView& backend) {
    event.acks += backend.outcome == OutcomeKind::kAck ? 1 : 0;
    event.timeouts += backend.outcome == OutcomeKind::kTimeout ? 1 : 0;
    event.failures += backend.outcome == OutcomeKind::kFailure ? 1 : 0;
    ++(backend.outcome == OutcomeKind::kSkippedDead ? event.skipped_dead : event.targets);
  });
  return event;
}

// While the core starts a broadcast, which may want a scan before its id is known here.
class Starting {
 public:
  Starting(ControlContext& context, ControlSession* session) : context_(context) {
    context_.starting = session;
  }
  ~Starting() { context_.starting = nullptr; }
  Starting(const Starting&) = delete;
  Starting& operator=(const Starting&) = delete;

 private:
  ControlContext& context_;
};

// Nothing when it is allowed; else what to answer, and a line in the log that names the rule.
std::optional<ControlError> denial(ControlContext& context, const OperatorPeer& who,
                                   const core::Verdict& verdict, const std::string& what,
                                   const std::string& question) {
  if (verdict.allowed) return std::nullopt;
  ++context.server->core().counters().refusals;
  if (context.log.admits(LogLevel::kWarning, who.uid)) {
    context.log.warning("operator denied", {{"pid", static_cast<std::int64_t>(who.pid)},
                                            {"uid", static_cast<std::uint64_t>(who.uid)},
                                            {"what", what},
                                            {"rule", verdict.to_string()}});
  }
  return ControlError{
      ControlError::Code::kDenied,
      fmt::format("policy does not let uid {0} {1}; `musterctl explain-policy --uid {0}{2}`, run "
                  "by somebody who may look, says which rule decides",
                  who.uid, what, question)};
}

}  // namespace

std::vector<gid_t> groups_that_matter(const ControlContext& context, int socket) {
  const auto& policy = context.facts.policy;
  if (!policy || !policy->mentions_groups()) return {};
  return policy->those_mentioned(os::groups_of_peer(socket));
}

void ControlSession::policy_changed() noexcept {
  try {
    who_.groups = groups_that_matter(*context_, stream_.native_handle());
  } catch (const std::bad_alloc&) {
    close();  // it is not known what it may do now
  }
}

std::optional<ControlError> connect_denied(ControlContext& context, const OperatorPeer& who) {
  const auto& policy = context.facts.policy;
  if (!policy) return std::nullopt;
  const core::Subject subject{who.uid, who.gid, who.groups};
  return denial(context, who, policy->may_connect(subject, core::Lane::kControl),
                "connect to control.sock", "");
}

std::optional<ControlError> ControlSession::denied(
    const decltype(wire::ControlRequestFrame::message)& request) {
  const auto& policy = context_->facts.policy;
  std::string path;
  if (!policy) return std::nullopt;
  const core::Subject subject{who_.uid, who_.gid, who_.groups};
  const auto leave = [&](const core::ControlAct& asked) -> std::optional<ControlError> {
    const core::Verdict verdict = policy->may_control(subject, asked);
    if (verdict.allowed) return std::nullopt;
    const std::string what = asked.to_string();
    return denial(*context_, who_, verdict, what, " --" + what);
  };
  const auto acts = acts_of(request, path);
  for (const core::ControlAct& act : acts) {
    if (auto no = leave(act)) return no;
  }
  // Backends release what is below either spelling.
  const std::string alias = alias_of(request);
  return alias.empty() ? std::nullopt : leave({acts.front().action, alias});
}

void ControlSession::handle(std::uint64_t id, const PolicyQuestion& question) {
  auto answer = core::explain(context_->facts.policy, question);
  std::visit([&](auto& value) { respond(id, std::move(value)); }, answer);
}

void ControlSession::handle(std::uint64_t id, wire::Ping /*request*/) {
  respond(id, wire::Pong{context_->facts.version, ::getpid()});
}

void ControlSession::handle(std::uint64_t id, wire::StartBroadcast request) {
  if (const auto problem = problem_of(request)) return respond(id, *problem);
  if (!request.dry_run) return start(id, std::move(request));
  auto answer = context_->server->core().dry_run(request.request, context_->server->now(), who_.uid,
                                                 &*selected_);
  std::visit([&](auto& value) { respond(id, std::move(value)); }, answer);
}

void ControlSession::start(std::uint64_t id, wire::StartBroadcast request) {
  auto& server = *context_->server;
  const std::string operation_key = request.request.operation_key;
  const std::optional<HoldRequest> hold = request.request.hold;
  // What belongs to this session afterwards: it is not to fail then.
  std::map<BroadcastId, OwnedBroadcast> own;
  if (hold || request.request.verify) {
    own.emplace(0, OwnedBroadcast{this, hold.has_value(), hold && hold->leased, os::ticks_now()});
  }
  if (!request.detach) {
    Open* open_request = open(id, request.events);
    if (open_request == nullptr) return;
    // The broadcast's first events come before its id is known here.
    open_request->starting = true;
    open_request->has_hold = hold.has_value();
  }
  const Starting starting(*context_, this);
  const auto answer =
      server.core().start_broadcast(std::move(request.request), server.now(),
                                    Operator{who_.uid, who_.pid, who_.command}, &*selected_);
  if (const auto* error = std::get_if<ControlError>(&answer)) return not_started(id, *error);

  const auto& started = std::get<core::Started>(answer);
  if (!own.empty() && !started.joined) {
    auto node = own.extract(own.begin());
    node.key() = started.id;
    context_->owned.insert(std::move(node));
  }
  // What it waits for comes first: the rest may fail for want of memory.
  Open* const open_request = find(id);
  const bool missed_the_start = open_request != nullptr && open_request->starting;
  if (open_request != nullptr) {
    open_request->starting = false;
    open_request->broadcast = started.id;
  }
  if (!operation_key.empty() && may_log(LogLevel::kInfo)) {
    // Events do not carry it.
    context_->log.info(started.joined ? "operator joined a broadcast"
                                      : "operator started a broadcast with an operation key",
                       {{"broadcast", started.id},
                        {"pid", static_cast<std::int64_t>(who_.pid)},
                        {"uid", static_cast<std::uint64_t>(who_.uid)},
                        {"key", operation_key}});
  }
  if (request.detach) {
    const wire::BroadcastAccepted accepted{started.id, started.targets, started.skipped_dead,
                                           started.joined, started.backends_unknown};
    if (hold) return respond_when_kept(id, accepted);
    return respond(id, accepted);
  }
  if (open_request == nullptr) return;  // it has ended and was answered
  if (started.joined) return join(*open_request, started.id);
  if (missed_the_start) answer_if_ended(*open_request);
}

// There was no memory for the event that says so.
void ControlSession::answer_if_ended(const Open& request) {
  auto& server = *context_->server;
  const auto answer = server.core().report(request.broadcast, server.now());
  const auto* report = std::get_if<core::BroadcastRows>(&answer);
  if (report == nullptr) return respond(request.request_id, std::get<ControlError>(answer));
  if (is_over(report->head().state)) respond(request.request_id, *report);
}

void ControlSession::not_started(std::uint64_t id, const ControlError& why) {
  if (why.code == ControlError::Code::kBusy && may_log(LogLevel::kWarning)) {
    context_->log.warning("broadcast not started: limit reached",
                          {{"pid", static_cast<std::int64_t>(who_.pid)},
                           {"uid", static_cast<std::uint64_t>(who_.uid)},
                           {"why", why.message}});
  }
  respond(id, why);
}

void ControlSession::join(Open& request, BroadcastId broadcast) {
  auto& server = *context_->server;
  const auto answer = server.core().report(broadcast, server.now());
  const auto* report = std::get_if<core::BroadcastRows>(&answer);
  if (report != nullptr && request.events) {
    send_event(request, how_it_stands(*report, server.now().unix_ms));
  }
  answer_if_ended(request);
}

std::optional<ControlError> ControlSession::get_report(std::uint64_t id,
                                                       const wire::GetReport& request) {
  auto& server = *context_->server;
  const auto answer = server.core().report(request.id, server.now());
  const auto* report = std::get_if<core::BroadcastRows>(&answer);
  if (report != nullptr && request.wait && !is_over(report->head().state)) {
    if (Open* waiting = open(id, false)) waiting->broadcast = report->head().broadcast_id;
    return std::nullopt;
  }
  const auto* error = std::get_if<ControlError>(&answer);
  const bool is_old = error != nullptr && (error->code == ControlError::Code::kExpired ||
                                           error->code == ControlError::Code::kInterrupted);
  if (is_old) return *error;
  std::visit([&](const auto& value) { respond(id, value); }, answer);
  return std::nullopt;
}

void ControlSession::handle(std::uint64_t id, const wire::CancelBroadcast& request) {
  auto& server = *context_->server;
  const auto answer = server.core().cancel_broadcast(request.id, server.now());
  if (const auto* error = std::get_if<ControlError>(&answer)) return respond(id, *error);
  const auto cancelled = std::get<std::uint32_t>(answer);
  if (may_log(LogLevel::kInfo)) {
    context_->log.info("operator cancelled a broadcast",
                       {{"broadcast", request.id},
                        {"pid", static_cast<std::int64_t>(who_.pid)},
                        {"uid", static_cast<std::uint64_t>(who_.uid)},
                        {"targets", static_cast<std::uint64_t>(cancelled)}});
  }
  respond(id, wire::CancelAccepted{cancelled});
}

void ControlSession::handle(std::uint64_t id, wire::GetStatus /*request*/) {
  const auto& server = *context_->server;
  BrokerStatus status;
  context_->server->core().fill_status(status);
  status.version = context_->facts.version;
  status.pid = ::getpid();
  status.started_unix_ms = context_->facts.started_unix_ms;
  status.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - context_->facts.started);
  if (context_->facts.add_problems) context_->facts.add_problems(status.problems);
  status.socket_dir = context_->facts.socket_dir;
  status.transport = server.transport_name();
  status.connections = server.connection_count();
  status.descriptors = server.descriptors();
  status.descriptors.used += context_->connections;
  respond(id, std::move(status));
}

void ControlSession::handle(std::uint64_t id, wire::Watch /*request*/) {
  Open* request = open(id, true);
  if (request == nullptr) return;
  request->watches = true;
  respond(id, wire::Watching{});
}

asio::awaitable<void> ControlSession::resume(std::shared_ptr<ControlSession> self, std::uint64_t id,
                                             BroadcastId broadcast) {
  auto& server = *self->context_->server;
  const std::function<bool()> turn_is_over = [turn = &self->turn_] { return turn->is_over(); };
  core::ResumeWork work = server.core().begin_resume(broadcast, *self->selected_);
  while (server.core().resume_on(work, server.now(), turn_is_over)) {
    co_await UserTurns::Turn::begin(self->turn_);
    if (self->finishing_) break;  // the others stay quiesced
  }
  const core::Resumed& resumed = work.done;
  if (self->may_log(LogLevel::kInfo)) {
    self->context_->log.info(
        "operator ended quiesces",
        {{"pid", static_cast<std::int64_t>(self->who_.pid)},
         {"uid", static_cast<std::uint64_t>(self->who_.uid)},
         {"resumed", static_cast<std::uint64_t>(resumed.resumed)},
         {"cannot_resume", static_cast<std::uint64_t>(resumed.cannot_resume)},
         {"away", static_cast<std::uint64_t>(resumed.away)},
         {"still_quiesced", static_cast<std::uint64_t>(resumed.still_quiesced)}});
  }
  if (self->finishing_) co_return;
  self->respond(id, wire::ResumeAccepted{resumed.resumed, resumed.cannot_resume, resumed.away,
                                         resumed.still_quiesced});
}

void ControlSession::handle(std::uint64_t id, const wire::ForgetBackend& request) {
  if (request.lost_roster) {
    if (!context_->facts.forget_lost_roster || !context_->facts.forget_lost_roster()) {
      return respond(id, ControlError{ControlError::Code::kNotFound,
                                      "no backend is missing: no roster was lost"});
    }
    context_->log.info("operator says that no backend is missing",
                       {{"pid", static_cast<std::int64_t>(who_.pid)},
                        {"uid", static_cast<std::uint64_t>(who_.uid)}});
    return respond_forgotten(id);
  }
  auto& server = *context_->server;
  if (auto error = server.core().forget(request.key, server.now())) return respond(id, *error);
  if (may_log(LogLevel::kInfo)) {
    context_->log.info("operator forgot a backend",
                       {{"key", request.key.to_string()},
                        {"pid", static_cast<std::int64_t>(who_.pid)},
                        {"uid", static_cast<std::uint64_t>(who_.uid)}});
  }
  respond_forgotten(id);
}

void ControlSession::respond_forgotten(std::uint64_t id) {
  if (!context_->facts.when_forgotten) return respond(id, wire::Forgotten{});
  context_->facts.when_forgotten([id, weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->respond(id, wire::Forgotten{});
  });
}

// Nobody waits for that request any more: neither events nor an answer.
void ControlSession::handle(std::uint64_t id, wire::Cancel /*request*/) { close_request(id); }

}  // namespace muster::daemon
