// What a session sends: events to the requests that stay open, and the answer that ends each.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "broker/broker_server.h"
#include "musterd/control/control_session.h"

namespace muster::daemon {
namespace {

// How long to wait until the next look at whether the peer has read.
constexpr std::chrono::milliseconds kFirstWait{50};
constexpr std::chrono::milliseconds kLongestWait{5000};

}  // namespace

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
  if (events) {
    const auto& ledger = context_->server->core().ledger();
    if (auto over = ledger->refusal(core::Resource::kFollower, who_.uid)) {
      ++context_->server->core().counters().over_quota;
      respond(id, ControlError{ControlError::Code::kBusy,
                               *std::move(over) + "; try again when one is done, or without "
                                                  "following events"});
      return nullptr;
    }
    request.follower = core::Taken(ledger, core::Resource::kFollower, who_.uid);
  }
  Open& opened = requests_.emplace_back(std::move(request));
  if (events) {
    ++context_->followers;
    ++followers_;
  }
  return &opened;
}

ControlSession::Open* ControlSession::find(std::uint64_t id) {
  const auto found = std::find_if(requests_.begin(), requests_.end(),
                                  [&](const Open& open) { return open.request_id == id; });
  return found == requests_.end() ? nullptr : &*found;
}

void ControlSession::close_request(std::uint64_t id) {
  Open* request = find(id);
  if (request == nullptr) return;
  if (request->events) {
    --context_->followers;
    --followers_;
  }
  requests_.erase(requests_.begin() + (request - requests_.data()));
}

// --- events

void ControlSession::deliver(EventDelivery& delivery) noexcept {
  if (finishing_ || requests_.empty()) return;
  const Event& event = delivery.event();
  const bool starts = event.kind == Event::Kind::kBroadcastStarted;
  if (followers_ == 0 && !starts) return;  // most sessions wait for an end alone
  for (std::size_t i = 0; i < requests_.size() && !finishing_; ++i) {
    Open& request = requests_[i];
    if (request.starting && starts) {
      request.broadcast = event.broadcast_id;
      request.starting = false;
    }
    const bool concerned =
        request.watches || (!request.starting && request.broadcast == event.broadcast_id);
    if (!concerned || !request.events) continue;
    try {
      send_event(request, delivery);
    } catch (const std::exception&) {
      request.gate.leave_out();
      check_missing_later();
    }
  }
}

bool ControlSession::ended(EndDelivery& end) noexcept {
  if (finishing_) return true;
  bool all = true;
  for (std::size_t i = 0; i < requests_.size() && !finishing_;) {
    Open& request = requests_[i];
    if (request.watches || request.starting || request.ends_hold ||
        request.broadcast != end.broadcast()) {
      ++i;
      continue;
    }
    request.ended = true;
    try {
      if (wait_for_disk(request)) {
        ++i;
        continue;
      }
      answer_ended(request, end);  // which is done with then
    } catch (const std::exception&) {
      all = false;
      ++i;
    }
  }
  return all;
}

bool ControlSession::answer_ended() noexcept {
  bool all = true;
  for (std::size_t i = 0; i < requests_.size() && !finishing_;) {
    Open& request = requests_[i];
    if (!request.ended || request.awaits_disk) {
      ++i;
      continue;
    }
    EndDelivery end(request.broadcast, *context_->server, context_->report_keys);
    try {
      answer_ended(request, end);
    } catch (const std::exception&) {
      all = false;
      ++i;
    }
  }
  return all;
}

void ControlSession::close_if_owed() noexcept {
  const bool owes = std::any_of(requests_.begin(), requests_.end(),
                                [](const Open& request) { return request.ended; });
  if (owes) close();
}

// Strong: when it throws it can be tried again.
void ControlSession::answer_ended(Open& request, EndDelivery& end) {
  const std::uint64_t id = request.request_id;
  const auto report = end.report(who_.uid, answers_);
  if (report == nullptr) return no_room(id);
  wire::FrameAround around = wire::answer_around(id, report->size());
  const std::array<net::SharedBytes, 3> parts{
      std::make_shared<const std::string>(std::move(around.before)), report,
      std::make_shared<const std::string>(std::move(around.after))};
  tell_all_missing(request);
  sent(stream_.send(parts));
  close_request(id);
}

void ControlSession::send_event(Open& request, EventDelivery& delivery) {
  const std::string& payload = delivery.payload();
  const wire::FrameAround around = wire::event_around(request.request_id, payload.size());
  const std::size_t size = around.before.size() + payload.size() + around.after.size();
  const auto missing = request.gate.admit(stream_.queued_bytes(), size);
  if (!missing) return check_missing_later();
  if (*missing != 0) tell_missing(request, *missing);
  std::string frame;
  frame.reserve(size);
  frame.append(around.before).append(payload).append(around.after);
  sent(stream_.send(std::move(frame)));
}

void ControlSession::send_event(Open& request, const Event& event) {
  EventDelivery delivery(event, *context_->server);
  send_event(request, delivery);
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
void ControlSession::check_missing_later() noexcept {
  if (missing_wait_ != std::chrono::milliseconds::zero()) return;  // armed
  missing_wait_ = kFirstWait;
  arm_missing_timer();
}

void ControlSession::arm_missing_timer() noexcept {
  try {
    missing_timer_.expires_after(missing_wait_);
    missing_timer_.async_wait([weak = weak_from_this()](std::error_code error) {
      const auto self = weak.lock();
      if (!error && self && !self->finishing_) self->check_missing();
    });
  } catch (const std::exception&) {  // the next event that is missing tries again
    missing_wait_ = {};
  }
}

void ControlSession::check_missing() noexcept {
  bool waiting = false;
  for (Open& request : requests_) {
    if (!request.gate.is_missing_some()) continue;
    if (request.gate.has_caught_up(stream_.queued_bytes())) {
      try {
        tell_all_missing(request);
      } catch (const std::exception&) {  // still missing
        waiting = true;
      }
    } else {
      waiting = true;
    }
  }
  missing_wait_ =
      waiting ? std::min(missing_wait_ * 2, kLongestWait) : decltype(missing_wait_)::zero();
  if (waiting) arm_missing_timer();
}

// --- answers

void ControlSession::respond(std::uint64_t id, const wire::ControlResponse& response) {
  end_request(id);
  send_answer(wire::encode(id, response));
}

void ControlSession::respond(std::uint64_t id, const ReportSource& report) {
  end_request(id);
  std::string framed = wire::encode(id, report, context_->report_keys);
  if (answers_ != nullptr && !answers_->has_room_for(framed.size())) return no_room(id);
  send_answer(std::move(framed));
}

void ControlSession::send_answer(std::string framed) {
  auto charged = charged_bytes(std::move(framed), answers_);
  if (charged == nullptr) return sent(net::Errc::kQueueFull);
  sent(stream_.send_now(std::move(charged)));
}

void ControlSession::no_room(std::uint64_t id) {
  ++context_->server->core().counters().over_quota;
  // It does not read, and neither do others of its user.
  if (stream_.queued_bytes() != 0) return sent(net::Errc::kQueueFull);
  const ControlError why{
      ControlError::Code::kBusy,
      fmt::format("what waits for the operators of uid {} would be over its quota, {} bytes: read "
                  "the answers of the other connections, or close them",
                  who_.uid, answers_->limit)};
  std::string answer = wire::encode(id, why);
  end_request(id);
  sent(stream_.send_now(std::move(answer)));
}

void ControlSession::end_request(std::uint64_t id) {
  Open* request = find(id);
  if (request == nullptr || request->watches) return;
  tell_all_missing(*request);
  close_request(id);
}

void ControlSession::tell_all_missing(Open& request) {
  if (!request.gate.is_missing_some()) return;
  const std::uint64_t count = request.gate.take_missing();
  try {
    tell_missing(request, count);
  } catch (...) {
    request.gate.leave_out(count);
    throw;
  }
}

void ControlSession::sent(std::error_code error) {
  if (error != net::Errc::kQueueFull) return;  // any other ends receive(), too
  finishing_ = true;
  stream_.close();
  if (!may_log(LogLevel::kWarning)) return;
  context_->log.warning("operator does not read its answers, closing its connection",
                        {{"pid", static_cast<std::int64_t>(who_.pid)},
                         {"uid", static_cast<std::uint64_t>(who_.uid)}});
}

}  // namespace muster::daemon
