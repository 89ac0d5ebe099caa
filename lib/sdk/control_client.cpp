// ControlClient: one request at a time over a ControlLink.
//
// Frames that carry another request's number are left-overs of a call that stopped waiting; they
// are dropped. A refusal with number 0 is about the connection and ends whatever call waits.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "muster/control.h"

#include "sdk/control_client_link.h"
#include "wire/backend_lane.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster {
namespace {

using Kind = ControlFailure::Kind;
using TimePoint = ControlLink::Clock::time_point;

constexpr TimePoint kForever = TimePoint::max();
constexpr std::chrono::milliseconds kTickEvery{100};
constexpr std::chrono::milliseconds kLeastPatience{1};

[[noreturn]] void unreachable(std::string message) {
  throw ControlFailure(Kind::kUnreachable, {{}, std::move(message)});
}

template <class Answer>
Answer take(wire::ControlResponse&& response, const std::string& broker) {
  if (auto* answer = std::get_if<Answer>(&response)) return std::move(*answer);
  if (auto* error = std::get_if<ControlError>(&response)) {
    throw ControlFailure(Kind::kRefused, std::move(*error));
  }
  unreachable("the broker at " + broker +
              " sent an unexpected answer: check that its version matches");
}

}  // namespace

struct ControlClient::Impl {
  Impl(const std::filesystem::path& socket_dir, std::chrono::milliseconds how_long)
      : link(socket_dir, how_long), patience(how_long) {}

  using Request = decltype(wire::ControlRequestFrame::message);

  [[nodiscard]] TimePoint deadline() const { return ControlLink::Clock::now() + patience; }

  void send(Request message) {
    wire::ControlRequestFrame frame;
    frame.request_id = ++last_request;
    frame.message = std::move(message);
    following = 0;
    const std::string bytes = wire::encode(frame);
    if (bytes.size() > wire::kMaxFirstBody + wire::kHeaderBytes) {
      throw ControlFailure(
          Kind::kRefused,
          {ControlError::Code::kInvalid,
           "the request has " + std::to_string(bytes.size()) + " bytes and the broker takes " +
               std::to_string(wire::kMaxFirstBody) + ": give fewer or shorter selectors"});
    }
    const TimePoint until = deadline();
    if (!link.send(bytes, until) && ControlLink::Clock::now() >= until) unreachable(silent());
    // Any other failure is receive()'s to tell: the broker may have said why before it closed.
  }

  // Waits for the next frame of the last request until `until`; nothing when the time is over or
  // a signal came. Throws when the connection ends or the broker refuses it.
  std::optional<std::variant<wire::ControlResponse, Event>> next(TimePoint until) {
    for (;;) {
      std::optional<wire::ControlAnswerFrame> frame;
      switch (link.receive(frame, until)) {
        case ControlLink::Received::kNothing:
          return std::nullopt;
        case ControlLink::Received::kEnded:
          unreachable(ended());
        case ControlLink::Received::kFrame:
          break;
      }
      if (frame->request_id == last_request) return std::move(frame->message);
      auto* response = std::get_if<wire::ControlResponse>(&frame->message);
      if (frame->request_id == 0 && response != nullptr) {
        if (auto* error = std::get_if<ControlError>(response)) {
          throw ControlFailure(Kind::kRefused, std::move(*error));
        }
      }
      // However many of these a broker sends.
      if (ControlLink::Clock::now() >= until) return std::nullopt;
    }
  }

  // One request, one answer, by `until`.
  template <class Answer>
  Answer ask(Request message, TimePoint until) {
    send(std::move(message));
    return wait_for<Answer>(until);
  }

  template <class Answer>
  Answer wait_for(TimePoint until) {
    for (;;) {
      if (give_up && !give_up()) {
        stop_events();
        throw ControlFailure(Kind::kStopped, {{}, "stopped waiting for the broker's answer"});
      }
      TimePoint slice = until;
      if (give_up) slice = std::min(until, ControlLink::Clock::now() + kTickEvery);
      auto message = next(slice);
      if (!message) {
        if (ControlLink::Clock::now() >= until) unreachable(silent());
        continue;
      }
      if (auto* response = std::get_if<wire::ControlResponse>(&*message)) {
        return take<Answer>(std::move(*response), link.name());
      }
    }
  }

  // Reads what the last request brings: events go to `on_event`, `on_response` says whether that
  // was the last. The first sign of life must come by `first_sign`; how long the rest takes is the
  // backends' affair. Returns false when `tick` stopped it.
  template <class OnResponse>
  bool follow(const EventHandler& on_event, const Tick& tick, TimePoint first_sign,
              OnResponse on_response) {
    for (;;) {
      if (tick && !tick()) {
        stop_events();
        return false;
      }
      TimePoint until = first_sign;
      if (tick) until = std::min(until, ControlLink::Clock::now() + kTickEvery);
      auto message = next(until);
      if (!message) {
        if (ControlLink::Clock::now() >= first_sign) unreachable(silent());
        continue;
      }
      first_sign = kForever;
      if (auto* event = std::get_if<Event>(&*message)) {
        if (on_event) on_event(*event);
      } else if (on_response(std::get<wire::ControlResponse>(std::move(*message)))) {
        return true;
      }
    }
  }

  // Nobody looks at this request's events any more. Failing changes nothing: the next call will
  // see.
  void stop_events() {
    wire::ControlRequestFrame frame;
    frame.request_id = last_request;
    frame.message = wire::Cancel{};
    static_cast<void>(link.send(wire::encode(frame), deadline()));
    ++last_request;  // so that what is still under way is dropped
  }

  [[nodiscard]] std::string ended() const {
    std::string text = "the broker at " + link.name() + " " + link.why();
    if (following != 0) {
      const std::string id = std::to_string(following);
      text +=
          " while broadcast " + id +
          " was running; if the broker still runs, so does the broadcast: fetch its report with "
          "`musterctl result " +
          id + "`";
    } else {
      text += ": it ended, or its log says why it closed the connection";
    }
    return text;
  }

  [[nodiscard]] std::string silent() const {
    std::string text = "the broker at " + link.name();
    const pid_t pid = link.broker_pid();
    if (pid > 0) text += " (pid " + std::to_string(pid) + ")";
    return text + " accepted the connection but did not answer within " +
           std::to_string(patience.count()) + " ms: it hangs or is stopped";
  }

  ControlLink link;
  std::chrono::milliseconds patience;
  Tick give_up;  // returns false when nobody waits any more
  std::uint64_t last_request = 0;
  BroadcastId following = 0;  // the broadcast that the last request waits for
};

ControlClient::ControlClient(const std::filesystem::path& socket_dir,
                             std::chrono::milliseconds patience)
    : impl_(std::make_unique<Impl>(socket_dir, std::max(patience, kLeastPatience))) {}
ControlClient::~ControlClient() = default;
ControlClient::ControlClient(ControlClient&&) noexcept = default;
ControlClient& ControlClient::operator=(ControlClient&&) noexcept = default;

void ControlClient::while_waiting(Tick tick) { impl_->give_up = std::move(tick); }

std::optional<uid_t> ControlClient::broker_uid() const { return impl_->link.broker_uid(); }

PingReply ControlClient::ping() {
  const auto before = ControlLink::Clock::now();
  auto pong = impl_->ask<wire::Pong>(wire::Ping{}, impl_->deadline());
  PingReply reply;
  reply.broker_version = std::move(pong.broker_version);
  reply.broker_pid = pong.pid;
  reply.round_trip =
      std::chrono::duration_cast<std::chrono::microseconds>(ControlLink::Clock::now() - before);
  return reply;
}

std::optional<BroadcastReport> ControlClient::broadcast(const BroadcastRequest& request,
                                                        const EventHandler& on_event,
                                                        const Tick& tick) {
  wire::StartBroadcast start;
  start.request = request;
  start.events = static_cast<bool>(on_event);
  impl_->send(std::move(start));
  // Without events the broker is silent until the last outcome is in.
  const TimePoint first_sign = on_event ? impl_->deadline() : kForever;

  std::optional<BroadcastReport> report;
  EventHandler note_id;
  if (on_event) {
    note_id = [&](const Event& event) {
      if (event.kind == Event::Kind::kBroadcastStarted) impl_->following = event.broadcast_id;
      on_event(event);
    };
  }
  impl_->follow(note_id, tick, first_sign, [&](wire::ControlResponse&& response) {
    report = take<BroadcastReport>(std::move(response), impl_->link.name());
    return true;
  });
  return report;
}

Accepted ControlClient::start_broadcast(const BroadcastRequest& request) {
  wire::StartBroadcast start;
  start.request = request;
  start.detach = true;
  const auto answer = impl_->ask<wire::BroadcastAccepted>(std::move(start), impl_->deadline());
  Accepted accepted;
  accepted.broadcast_id = answer.id;
  accepted.targets = answer.targets;
  accepted.skipped_dead = answer.skipped_dead;
  accepted.joined = answer.joined;
  accepted.backends_unknown = answer.backends_unknown;
  return accepted;
}

DryRun ControlClient::dry_run(const BroadcastRequest& request) {
  wire::StartBroadcast start;
  start.request = request;
  start.dry_run = true;
  return impl_->ask<DryRun>(std::move(start), impl_->deadline());
}

BroadcastReport ControlClient::report(BroadcastId id, bool wait) {
  wire::GetReport request;
  request.id = id;
  request.wait = wait;
  return impl_->ask<BroadcastReport>(request, wait ? kForever : impl_->deadline());
}

std::uint32_t ControlClient::cancel(BroadcastId id) {
  return impl_->ask<wire::CancelAccepted>(wire::CancelBroadcast{id}, impl_->deadline())
      .cancelled_targets;
}

Resumed ControlClient::resume(BroadcastId id, const Selection& selection) {
  const auto answer =
      impl_->ask<wire::ResumeAccepted>(wire::Resume{id, selection}, impl_->deadline());
  return {answer.resumed, answer.cannot_resume, answer.away, answer.still_quiesced};
}

void ControlClient::forget(const BackendKey& key) {
  static_cast<void>(
      impl_->ask<wire::Forgotten>(wire::ForgetBackend{key, false}, impl_->deadline()));
}

void ControlClient::forget_lost_roster() {
  static_cast<void>(impl_->ask<wire::Forgotten>(wire::ForgetBackend{{}, true}, impl_->deadline()));
}

std::vector<BackendInfo> ControlClient::backends(const Selection& selection) {
  return impl_->ask<std::vector<BackendInfo>>(wire::ListBackends{selection}, impl_->deadline());
}

BrokerStatus ControlClient::status() {
  return impl_->ask<BrokerStatus>(wire::GetStatus{}, impl_->deadline());
}

PolicyExplanation ControlClient::explain_policy(const PolicyQuestion& question) {
  return impl_->ask<PolicyExplanation>(question, impl_->deadline());
}

HolderScan ControlClient::holders(const std::string& path, std::uint64_t mount_namespace) {
  return impl_->ask<HolderScan>(wire::FindHolders{path, mount_namespace}, kForever);
}

std::vector<HoldInfo> ControlClient::holds() {
  return impl_->ask<std::vector<HoldInfo>>(wire::ListHolds{}, impl_->deadline());
}

HoldInfo ControlClient::end_hold(HoldId id) {
  // Its last scan may take as long as one that was asked for.
  return impl_->ask<HoldInfo>(wire::EndHold{id}, kForever);
}

HoldInfo ControlClient::keep_hold(HoldId id, std::optional<std::uint64_t> children_after) {
  return impl_->ask<HoldInfo>(wire::KeepHold{id, false, children_after}, impl_->deadline());
}

HoldInfo ControlClient::detach_hold(HoldId id) {
  return impl_->ask<HoldInfo>(wire::KeepHold{id, true}, impl_->deadline());
}

HistoryPage ControlClient::history(const HistoryQuery& query) {
  return impl_->ask<HistoryPage>(query, impl_->deadline());
}

void ControlClient::watch(const EventHandler& on_event, const Tick& tick) {
  impl_->send(wire::Watch{});
  static_cast<void>(impl_->wait_for<wire::Watching>(impl_->deadline()));
  impl_->follow(on_event, tick, kForever, [&](wire::ControlResponse&& response) {
    static_cast<void>(take<wire::Watching>(std::move(response), impl_->link.name()));
    return false;
  });
}

}  // namespace muster
