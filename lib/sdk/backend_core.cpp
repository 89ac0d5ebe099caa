#include "sdk/backend_core.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

namespace muster {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRememberedAnswers = 1024;
// A registration that lasted this long was a good one. After one that did not the waits begin anew,
// but not after several in a row: a broker that crashes whenever it hears of us is left in peace.
constexpr milliseconds kSettled{1000};
// A refused backend tries again for as long as it runs, and at the latest after this.
constexpr milliseconds kFirstRefusedRetry{1000};
constexpr milliseconds kLongestRetryAfter{60'000};

// The same again would be refused again, until somebody changes something.
bool is_refused(RefusalCode code) {
  return code == RefusalCode::kInvalid || code == RefusalCode::kDenied ||
         code == RefusalCode::kReplaced || code == RefusalCode::kQuota;
}

StateChange connecting(std::string reason) {
  StateChange change;
  change.reason = std::move(reason);
  return change;
}

StateChange in_state(ConnectionState state) {
  StateChange change;
  change.state = state;
  return change;
}

}  // namespace

BackendCore::BackendCore(Registration registration, Backoff backoff, BackendPort& port,
                         std::shared_ptr<AnswerSink> sink, ActivityFlag& activity)
    : registration_(std::move(registration)),
      backoff_(std::move(backoff)),
      refused_backoff_(backoff_.with(kFirstRefusedRetry, kLongestRetryAfter)),
      port_(port),
      sink_(std::move(sink)),
      activity_(activity),
      answers_(kRememberedAnswers) {}

void BackendCore::deliver(Mail& mail) {
  std::visit(
      [this](auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, StartAsked>) start(what);
        if constexpr (std::is_same_v<T, AnswerGiven>) {
          answered(what.request, std::move(what.answer));
        }
        if constexpr (std::is_same_v<T, MoreTimeAsked>) {
          working(what.request, std::move(what.working));
        }
        if constexpr (std::is_same_v<T, RequestReleased>) released(what.request);
        if constexpr (std::is_same_v<T, ActivitySeen>) activity_seen();
        if constexpr (std::is_same_v<T, StopAsked>) stop(what);
      },
      mail);
}

void BackendCore::start(const StartAsked& asked) {
  if (phase_ != Phase::kIdle) return;
  registration_.can_resume = registration_.can_resume && asked.can_resume;
  try_connect();
}

void BackendCore::try_connect() {
  if (replaced_ && port_.superseded()) {
    return retry_in(backoff_.next(), StateChange(told_));
  }
  std::string problem = port_.connect();
  if (!problem.empty()) return retry_in(backoff_.next(), connecting(std::move(problem)));
  ++connection_;
  phase_ = Phase::kRegistering;
  // How long the answer may take is not limited: a broker that is busy, or stopped by a debugger,
  // would only find one more connection in its backlog for each that is given up.
  port_.send({next_request_id_++, registration_, refused_before_});
}

void BackendCore::retry_in(milliseconds delay, StateChange change) {
  port_.arm(BackendPort::Timer::kRetry, std::min(delay, kLongestRetryAfter));
  enter(Phase::kWaiting, std::move(change));
}

// What waits for its handler is not run: it comes again where anybody still waits for it.
void BackendCore::connection_is_over() {
  if (phase_ == Phase::kRegistered) {
    const auto lasted = port_.now() - registered_at_;
    const bool settled = lasted >= kSettled;
    if (settled || !flapping_) backoff_.reset();
    if (lasted >= kLongestRetryAfter) refused_backoff_.reset();
    flapping_ = !settled;
  }
  port_.disarm(BackendPort::Timer::kActivity);
  activity_waits_ = false;
  drop_waiting();
  for (auto& [id, in_hand] : running_) in_hand.unsent.reset();
}

void BackendCore::lose_connection(std::string reason, milliseconds at_least) {
  if (phase_ == Phase::kDeregistering || phase_ == Phase::kLeaving) return finish();
  connection_is_over();
  retry_in(backoff_.next(std::min(at_least, kLongestRetryAfter)), connecting(std::move(reason)));
}

void BackendCore::disconnected(std::string_view why) {
  lose_connection("the connection to the broker ended: " + std::string(why));
}

void BackendCore::malformed(std::string_view problem) {
  port_.disconnect();
  lose_connection("the broker does not keep to the protocol: " + std::string(problem));
}

void BackendCore::broke_down(std::string_view what) {
  if (phase_ == Phase::kStopped) return;
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
      if (phase_ == Phase::kLeaving) {  // its handler does not return
        stop_.patience = {};
        leave();
      }
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
  if (!answers_register && !with_broker()) {
    if (std::holds_alternative<wire::UnknownMessage>(frame.message)) return;
    return malformed("it sent something before it answered the registration");
  }
  std::visit([this, id = frame.request_id](auto& message) { on(message, id); }, frame.message);
  clock_.heard(port_.now(), port_.now_unix_ms());
}

void BackendCore::on(wire::Deregistered& /*message*/, std::uint64_t /*id*/) {
  malformed("it answered a Deregister that it was not sent");
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
  new_epoch(registered.epoch);
  note_listed(registered.active_holds);
  registered_at_ = port_.now();
  replaced_ = false;
  refused_before_ = 0;
  limits_ = registered.limits;
  phase_ = Phase::kRegistered;
  port_.state_changed(ConnectionState::kRegistered);
  tell(std::move(registered.active_holds));
  tell_of_holds();
  if (phase_ != Phase::kRegistered) return;
  send_unsent_answers();
  StateChange change = in_state(ConnectionState::kRegistered);
  change.incarnation = registered.incarnation;
  change.key = registered.key.service_name.empty() ? registration_.key : registered.key;
  enter(Phase::kRegistered, std::move(change));
  tell_of_quiesce();
  if (activity_.raised()) activity_seen();
}

void BackendCore::on(Refusal& refusal, std::uint64_t id) {
  port_.disconnect();
  if (phase_ == Phase::kRegistering) count_refusal(refusal.code, id);
  if (phase_ == Phase::kDeregistering || phase_ == Phase::kLeaving) return finish();
  std::string reason =
      "the broker refused (" + std::string(to_string(refusal.code)) + "): " + refusal.reason;
  if (!is_refused(refusal.code)) return lose_connection(std::move(reason), refusal.retry_after);
  connection_is_over();
  replaced_ = refusal.code == RefusalCode::kReplaced;
  if (replaced_) {  // what was asked of this one is asked of the other now, and told to it
    drop_running();
    note_listed({});
  }
  StateChange change = in_state(ConnectionState::kRefused);
  change.reason = std::move(reason);
  const auto at_least = std::min(refusal.retry_after, kLongestRetryAfter);
  // A broker that says when is asked then; one that does not ever more seldom.
  const bool says_when = at_least > milliseconds(0);
  retry_in(says_when ? backoff_.next(at_least) : refused_backoff_.next(), std::move(change));
  tell_of_holds();
}

// The broker counts what it refuses while it does not know which backend it is. It knows where it
// answers a Register that is valid, and then it was told of those before.
void BackendCore::count_refusal(RefusalCode code, std::uint64_t answered) {
  switch (code) {
    case RefusalCode::kQuota:
      if (answered != 0) break;
      [[fallthrough]];
    case RefusalCode::kInvalid:
    case RefusalCode::kProtocol:
    case RefusalCode::kTooSlow:
      if (refused_before_ != std::numeric_limits<std::uint32_t>::max()) ++refused_before_;
      return;
    case RefusalCode::kDenied:
      if (answered == 0) return;  // it may not even connect
      break;
    case RefusalCode::kReplaced:
    case RefusalCode::kShuttingDown:  // what it counted goes with it
      break;
  }
  refused_before_ = 0;
}

void BackendCore::stop(const StopAsked& asked) {
  if (phase_ == Phase::kStopped) return;
  drop_waiting();
  stop_ = asked;
  const bool may_wait = asked.in_handler || asked.patience > milliseconds(0);
  if (phase_ == Phase::kRegistered && may_wait && any_with_handlers()) {
    // Its answer goes before the Deregister.
    phase_ = Phase::kLeaving;
    port_.disarm(BackendPort::Timer::kActivity);
    if (!asked.in_handler) port_.arm(BackendPort::Timer::kDeregister, asked.patience);
    return;
  }
  if (phase_ == Phase::kLeaving && may_wait) return;
  leave();
}

void BackendCore::leave() {
  const bool connected = with_broker() || phase_ == Phase::kRegistering;
  const bool waited = phase_ == Phase::kLeaving && !stop_.in_handler;
  if (connected) {
    phase_ = Phase::kDeregistering;
    port_.disarm(BackendPort::Timer::kActivity);
    port_.send({next_request_id_++, Deregister{}});
  }
  if (phase_ != Phase::kDeregistering || stop_.patience <= milliseconds(0)) return finish();
  if (!waited) port_.arm(BackendPort::Timer::kDeregister, stop_.patience);
}

void BackendCore::finish() {
  phase_ = Phase::kStopped;
  port_.disconnect();
  for (const auto timer : {BackendPort::Timer::kRetry, BackendPort::Timer::kActivity,
                           BackendPort::Timer::kDeregister}) {
    port_.disarm(timer);
  }
  drop_running();
  holds_.clear();
  quiesced_ = false;
  enter(Phase::kStopped, in_state(ConnectionState::kStopped));
}

void BackendCore::enter(Phase phase, StateChange change) {
  phase_ = phase;
  port_.state_changed(change.state);
  const bool told_already = change.state == told_.state && change.reason == told_.reason &&
                            change.incarnation == told_.incarnation;
  if (told_already) return;
  told_ = std::move(change);
  tell(told_);
}

bool BackendCore::tell(HandlerCall call) {
  if (port_.call(std::move(call))) return true;
  if (!with_broker()) return false;
  // The next registration tells everything that is true then, instead of all that is to be told.
  port_.disconnect();
  lose_connection("the handlers of this process are too far behind");
  return false;
}

std::vector<wire::BackendFrame> BackendCore::last_words(std::vector<Mail> last) {
  std::vector<wire::BackendFrame> words;
  if (with_broker() || phase_ == Phase::kRegistering) {
    for (Mail& mail : last) {
      auto* given = std::get_if<AnswerGiven>(&mail);
      if (given == nullptr || !with_broker() || find(given->request) == running_.end()) continue;
      const auto as_frame = [&](auto& answer) {
        words.push_back({given->request.id, std::move(answer)});
      };
      std::visit(as_frame, given->answer);
    }
    words.push_back({next_request_id_++, Deregister{}});
  }
  return words;
}

void BackendCore::end() {
  phase_ = Phase::kStopped;
  port_.state_changed(ConnectionState::kStopped);
  drop_running();
  holds_.clear();
  quiesced_ = false;
}

}  // namespace muster
