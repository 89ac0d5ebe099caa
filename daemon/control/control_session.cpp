#include "control/control_session.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <asio/post.hpp>
#include <fmt/format.h>

#include "broker/broker_server.h"
#include "net/use_tuple.h"

namespace muster::daemon {
namespace {

constexpr std::chrono::milliseconds kLook{10};
constexpr std::chrono::milliseconds kFirstWait{50};
constexpr std::chrono::milliseconds kLongestWait{5000};

net::StreamLimits limits_for(const ControlSettings& settings) {
  net::StreamLimits limits;
  limits.first_body = wire::kMaxFirstBody;
  limits.body = wire::kMaxControlBody;
  limits.queued_bytes = settings.event_queue + settings.answer_queue;
  return limits;
}

}  // namespace

ControlSession::ControlSession(std::shared_ptr<ControlContext> context, os::UniqueFd socket,
                               OperatorPeer who)
    : context_(std::move(context)),
      stream_(context_->loop, std::move(socket), limits_for(context_->settings)),
      who_(std::move(who)),
      missing_timer_(context_->loop),
      linger_timer_(context_->loop) {
  ++context_->connections;
}

ControlSession::~ControlSession() {
  --context_->connections;
  for (const Open& request : requests_) context_->followers -= request.events ? 1 : 0;
}

asio::awaitable<void> ControlSession::run(std::shared_ptr<ControlSession> self) {
  while (!self->finishing_) {
    const net::Received received = co_await self->stream_.receive();
    if (self->finishing_) break;
    if (received.error == net::Errc::kBadFrame) {
      self->protocol_error(0, received.problem);
      break;
    }
    if (received.error) break;
    wire::ControlRequestFrame frame;
    const std::string problem = self->decoder_.decode(received.body, frame);
    if (!problem.empty()) {
      self->protocol_error(frame.request_id, problem);
      break;
    }
    const bool is_cancel = std::holds_alternative<wire::Cancel>(frame.message);
    if (!is_cancel && self->find(frame.request_id) != nullptr) {
      self->protocol_error(frame.request_id,
                           fmt::format("the request number {} is in use: give each request a "
                                       "number of its own",
                                       frame.request_id));
      break;
    }
    if (const auto why_not = self->denied(frame.message)) {
      self->respond(frame.request_id, *why_not);
      continue;
    }
    std::visit([&](auto& request) { self->handle(frame.request_id, std::move(request)); },
               frame.message);
  }
  self->missing_timer_.cancel();
  self->finish();
  // Nothing tells when what was said last is written; mostly it is by now.
  while (self->stream_.is_open()) {
    self->missing_timer_.expires_after(kLook);
    co_await self->missing_timer_.async_wait(net::kUseTuple);
  }
  self->linger_timer_.cancel();
}

void ControlSession::finish() {
  finishing_ = true;
  stream_.close_after_flush();
  if (!stream_.is_open() || std::exchange(lingering_, true)) return;
  linger_timer_.expires_after(context_->settings.linger);
  linger_timer_.async_wait([self = shared_from_this()](std::error_code error) {
    if (!error) self->stream_.close();
  });
}

void ControlSession::turn_away(const ControlError& why) {
  respond(0, why);
  finish();
}

void ControlSession::protocol_error(std::uint64_t id, const std::string& problem) {
  auto& counters = context_->server->core().counters();
  ++counters.protocol_errors;
  if (const auto left_out = context_->bad_input.admit(std::chrono::steady_clock::now())) {
    context_->log.warning("operator breaks the protocol",
                          {{"pid", static_cast<std::int64_t>(who_.pid)},
                           {"uid", static_cast<std::uint64_t>(who_.uid)},
                           {"why", problem},
                           {"left_out", *left_out}});
  }
  respond(id, ControlError{ControlError::Code::kProtocol, problem});
}

// --- requests that stay open

ControlSession::Open* ControlSession::open(std::uint64_t id, bool events) {
  if (requests_.size() >= kMaxOpenRequests) {
    respond(id, ControlError{ControlError::Code::kBusy,
                             fmt::format("{} requests of this connection wait already: use "
                                         "another connection",
                                         requests_.size())});
    return nullptr;
  }
  Open request;
  request.request_id = id;
  request.events = events;
  request.gate = EventGate(context_->settings.event_queue);
  context_->followers += events ? 1 : 0;
  return &requests_.emplace_back(request);
}

ControlSession::Open* ControlSession::find(std::uint64_t id) {
  const auto found = std::find_if(requests_.begin(), requests_.end(),
                                  [&](const Open& open) { return open.request_id == id; });
  return found == requests_.end() ? nullptr : &*found;
}

void ControlSession::close_request(std::uint64_t id) {
  Open* request = find(id);
  if (request == nullptr) return;
  context_->followers -= request->events ? 1 : 0;
  requests_.erase(requests_.begin() + (request - requests_.data()));
}

void ControlSession::answer_when_finished(std::uint64_t id) {
  asio::post(context_->loop, [weak = weak_from_this(), id] {
    const auto self = weak.lock();
    if (!self) return;
    const Open* request = self->find(id);
    if (request == nullptr) return;  // cancelled meanwhile
    auto& server = *self->context_->server;
    const auto report = server.core().report(request->broadcast, server.now());
    std::visit([&](const auto& answer) { self->respond(id, answer); }, report);
  });
}

// --- events

void ControlSession::deliver(const Event& event) {
  if (finishing_) return;
  for (Open& request : requests_) {
    if (request.starting && event.kind == Event::Kind::kBroadcastStarted) {
      request.broadcast = event.broadcast_id;
      request.starting = false;
    }
    if (!request.watches && (request.starting || request.broadcast != event.broadcast_id)) {
      continue;
    }
    if (request.events) send_event(request, event);
    if (!request.watches && event.kind == Event::Kind::kBroadcastFinished) {
      answer_when_finished(request.request_id);
    }
  }
}

void ControlSession::send_event(Open& request, const Event& event) {
  std::string frame = wire::encode(request.request_id, event);
  const auto missing = request.gate.admit(stream_.queued_bytes(), frame.size());
  if (!missing) return check_missing_later();
  if (*missing != 0) tell_missing(request, *missing);
  sent(stream_.send(std::move(frame)));
}

void ControlSession::tell_missing(Open& request, std::uint64_t count) {
  Event event;
  event.kind = Event::Kind::kEventsLost;
  event.unix_ms = context_->server->now().unix_ms;
  event.broadcast_id = request.broadcast;
  event.detail = fmt::format("{} events are missing here: they were not read in time", count);
  sent(stream_.send(wire::encode(request.request_id, event)));
}

// Nothing tells when the peer has read, so look now and then, ever less often.
void ControlSession::check_missing_later() {
  if (missing_wait_ != std::chrono::milliseconds::zero()) return;  // armed
  missing_wait_ = kFirstWait;
  arm_missing_timer();
}

void ControlSession::arm_missing_timer() {
  missing_timer_.expires_after(missing_wait_);
  missing_timer_.async_wait([weak = weak_from_this()](std::error_code error) {
    const auto self = weak.lock();
    if (!error && self && !self->finishing_) self->check_missing();
  });
}

void ControlSession::check_missing() {
  bool waiting = false;
  for (Open& request : requests_) {
    if (!request.gate.is_missing_some()) continue;
    if (request.gate.has_caught_up(stream_.queued_bytes())) {
      tell_missing(request, request.gate.take_missing());
    } else {
      waiting = true;
    }
  }
  missing_wait_ =
      waiting ? std::min(missing_wait_ * 2, kLongestWait) : decltype(missing_wait_)::zero();
  if (waiting) arm_missing_timer();
}

void ControlSession::respond(std::uint64_t id, const wire::ControlResponse& response) {
  end_request(id);
  sent(stream_.send_now(wire::encode(id, response)));
}

void ControlSession::respond(std::uint64_t id, const ReportSource& report) {
  end_request(id);
  sent(stream_.send_now(wire::encode(id, report)));
}

void ControlSession::end_request(std::uint64_t id) {
  Open* request = find(id);
  if (request == nullptr || request->watches) return;
  if (request->gate.is_missing_some()) tell_missing(*request, request->gate.take_missing());
  close_request(id);
}

void ControlSession::sent(std::error_code error) {
  if (error != net::Errc::kQueueFull) return;  // any other ends receive(), too
  context_->log.warning("operator does not read its answers: its connection is closed",
                        {{"pid", static_cast<std::int64_t>(who_.pid)},
                         {"uid", static_cast<std::uint64_t>(who_.uid)}});
  finishing_ = true;
  stream_.close();
}

}  // namespace muster::daemon
