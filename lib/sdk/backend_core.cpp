#include "sdk/backend_core.h"

#include <type_traits>
#include <utility>

#include "sdk/notify.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRememberedAnswers = 1024;
// A registration that lasted this long was a good one. After one that did not the waits begin anew,
// but not after several in a row: a broker that crashes whenever it hears of us is left in peace.
constexpr milliseconds kSettled{1000};

bool is_for_good(RefusalCode code) {
  return code == RefusalCode::kInvalid || code == RefusalCode::kDenied ||
         code == RefusalCode::kReplaced;
}

}  // namespace

BackendCore::BackendCore(Registration registration, Backoff backoff, BackendPort& port,
                         std::shared_ptr<AnswerSink> sink, ActivityFlag& activity)
    : registration_(std::move(registration)),
      backoff_(std::move(backoff)),
      port_(port),
      sink_(std::move(sink)),
      activity_(activity),
      answers_(kRememberedAnswers) {}

void BackendCore::deliver(Mail mail) {
  std::visit(
      [this](auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, StartAsked>) start();
        if constexpr (std::is_same_v<T, AnswerGiven>) answered(what.id, std::move(what.answer));
        if constexpr (std::is_same_v<T, MoreTimeAsked>) working(what.id, what.working);
        if constexpr (std::is_same_v<T, ActivitySeen>) activity_seen();
        if constexpr (std::is_same_v<T, StopAsked>) stop(what.patience);
      },
      mail);
}

void BackendCore::start() {
  if (phase_ == Phase::kIdle) try_connect();
}

void BackendCore::try_connect() {
  std::string problem = port_.connect();
  if (!problem.empty()) return retry(std::move(problem));
  ++connection_;
  phase_ = Phase::kRegistering;
  // How long the answer may take is not limited: a broker that is busy, or stopped by a debugger,
  // would only find one more connection in its backlog for each that is given up.
  port_.send({next_request_id_++, registration_});
}

void BackendCore::retry(std::string reason, milliseconds at_least) {
  port_.arm(BackendPort::Timer::kRetry, backoff_.next(at_least));
  enter(Phase::kWaiting, {ConnectionState::kConnecting, 0, std::move(reason)});
}

void BackendCore::lose_connection(std::string reason, milliseconds at_least) {
  if (phase_ == Phase::kDeregistering) return finish();
  if (phase_ == Phase::kRegistered) {
    const bool settled = port_.now() - registered_at_ >= kSettled;
    if (settled || !flapping_) backoff_.reset();
    flapping_ = !settled;
  }
  port_.disarm(BackendPort::Timer::kActivity);
  activity_waits_ = false;
  retry(std::move(reason), at_least);
}

void BackendCore::disconnected(std::string_view why) {
  lose_connection("the connection to the broker ended: " + std::string(why));
}

void BackendCore::malformed(std::string_view problem) {
  port_.disconnect();
  lose_connection("the broker does not keep to the protocol: " + std::string(problem));
}

void BackendCore::broke_down(std::string_view what) {
  if (phase_ == Phase::kRefused || phase_ == Phase::kStopped || phase_ == Phase::kIdle) return;
  port_.disconnect();
  lose_connection("internal error: " + std::string(what));
}

void BackendCore::timer_fired(BackendPort::Timer timer) {
  switch (timer) {
    case BackendPort::Timer::kRetry:
      if (phase_ == Phase::kWaiting) try_connect();
      return;
    case BackendPort::Timer::kActivity:
      activity_waits_ = false;
      activity_seen();
      return;
    case BackendPort::Timer::kDeregister:
      if (phase_ == Phase::kDeregistering) finish();
      return;
  }
}

void BackendCore::received(wire::BrokerFrame& frame) {
  const bool answers_register = std::holds_alternative<Registered>(frame.message) ||
                                std::holds_alternative<Refusal>(frame.message);
  if (!answers_register && phase_ == Phase::kDeregistering) {
    // Everything else crossed the Deregister on its way.
    if (std::holds_alternative<wire::Deregistered>(frame.message)) finish();
    return;
  }
  if (!answers_register && phase_ != Phase::kRegistered) {
    return malformed("it sent something before it answered the registration");
  }
  std::visit([this, id = frame.request_id](auto& message) { on(message, id); }, frame.message);
}

void BackendCore::on(wire::Deregistered& /*message*/, std::uint64_t /*id*/) {
  malformed("it answered a Deregister that it was not sent");
}

void BackendCore::on(HoldEnded& ended, std::uint64_t /*id*/) {
  notify(handlers_.hold_ended, ended);
}

// A newer broker tells something that this version has no use for.
void BackendCore::on(wire::UnknownMessage& /*message*/, std::uint64_t /*id*/) {}

void BackendCore::on(Registered& registered, std::uint64_t /*id*/) {
  if (phase_ == Phase::kDeregistering) return;  // the answer to Deregister follows
  if (phase_ != Phase::kRegistering) return malformed("it answered one registration twice");
  if (registered.protocol < registration_.min_protocol ||
      registered.protocol > registration_.max_protocol) {
    return malformed("it chose protocol " + std::to_string(registered.protocol));
  }
  registered_at_ = port_.now();
  limits_ = registered.limits;
  const ConnectionSerial connection = connection_;
  phase_ = Phase::kRegistered;
  port_.state_changed(ConnectionState::kRegistered);
  notify(handlers_.active_holds, registered.active_holds);
  if (phase_ != Phase::kRegistered || connection != connection_) return;
  send_unsent_answers();
  enter(Phase::kRegistered, {ConnectionState::kRegistered, registered.incarnation, {}});
  if (phase_ == Phase::kRegistered && activity_.raised()) activity_seen();
}

void BackendCore::on(Refusal& refusal, std::uint64_t /*id*/) {
  port_.disconnect();
  if (phase_ == Phase::kDeregistering) return finish();
  std::string reason =
      "the broker refused (" + std::string(to_string(refusal.code)) + "): " + refusal.reason;
  if (is_for_good(refusal.code)) return refused_for_good(std::move(reason));
  lose_connection(std::move(reason), refusal.retry_after);
}

void BackendCore::refused_for_good(std::string reason) {
  port_.disarm(BackendPort::Timer::kActivity);
  phase_ = Phase::kRefused;
  drop_running();
  enter(Phase::kRefused, {ConnectionState::kRefused, 0, std::move(reason)});
}

void BackendCore::stop(milliseconds patience) {
  if (phase_ == Phase::kStopped) return;
  const bool connected = phase_ == Phase::kRegistered || phase_ == Phase::kRegistering;
  if (connected) {
    phase_ = Phase::kDeregistering;
    port_.disarm(BackendPort::Timer::kActivity);
    port_.send({next_request_id_++, Deregister{}});
  }
  if (phase_ != Phase::kDeregistering || patience <= milliseconds(0)) return finish();
  port_.arm(BackendPort::Timer::kDeregister, patience);
}

void BackendCore::finish() {
  phase_ = Phase::kStopped;
  port_.disconnect();
  for (const auto timer : {BackendPort::Timer::kRetry, BackendPort::Timer::kActivity,
                           BackendPort::Timer::kDeregister}) {
    port_.disarm(timer);
  }
  drop_running();
  enter(Phase::kStopped, {ConnectionState::kStopped, 0, {}});
}

void BackendCore::enter(Phase phase, StateChange change) {
  phase_ = phase;
  port_.state_changed(change.state);
  const bool told_already = change.state == told_.state && change.reason == told_.reason &&
                            change.incarnation == told_.incarnation;
  if (told_already) return;
  told_ = std::move(change);
  notify(handlers_.state, told_);
}

std::vector<wire::BackendFrame> BackendCore::abandon(std::vector<Mail> last) {
  std::vector<wire::BackendFrame> words;
  if (phase_ == Phase::kRegistered || phase_ == Phase::kRegistering) {
    for (Mail& mail : last) {
      auto* given = std::get_if<AnswerGiven>(&mail);
      if (given == nullptr || phase_ != Phase::kRegistered || !running_.contains(given->id))
        continue;
      const auto as_frame = [&](auto& answer) { words.push_back({given->id, std::move(answer)}); };
      std::visit(as_frame, given->answer);
    }
    words.push_back({next_request_id_++, Deregister{}});
  }
  phase_ = Phase::kStopped;
  port_.state_changed(ConnectionState::kStopped);
  drop_running();
  return words;
}

}  // namespace muster
