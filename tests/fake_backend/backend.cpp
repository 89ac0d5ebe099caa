#include "fake_backend/backend.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "muster/path.h"

#include "fake_backend/garbage.h"
#include "fake_backend/play.h"

namespace muster::fake {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetry{100};         // nobody listens
constexpr milliseconds kListenerIsFull{5};  // somebody does, and is busy
constexpr std::uint64_t kRegisterRequest = 1;
constexpr std::uint64_t kDeregisterRequest = 2;

// The same registration would be refused again, or the broker meant this connection's misbehaviour.
bool is_for_good(RefusalCode code) {
  return code == RefusalCode::kInvalid || code == RefusalCode::kDenied;
}

bool is_to_stay_away(RefusalCode code) {
  return code == RefusalCode::kProtocol || code == RefusalCode::kReplaced;
}

}  // namespace

FakeBackend::FakeBackend(SharedState& shared, std::size_t index)
    : shared_(shared),
      prefix_(shared.options.prefix(index)),
      registration_(shared.options.registration_of(index)),
      registration_frame_(wire::encode(kRegisterRequest, registration_)),
      files_(shared.options.keep_open, [this](const std::string& line) { say(line); }) {
  ++shared_.counts[static_cast<std::size_t>(state_)];
}

void FakeBackend::become(BackendState state) {
  --shared_.counts[static_cast<std::size_t>(state_)];
  state_ = state;
  ++shared_.counts[static_cast<std::size_t>(state_)];
  shared_.on_change();
}

// --- connecting

void FakeBackend::start() { connect_in(milliseconds(0)); }

void FakeBackend::connect_in(milliseconds delay) {
  shared_.loop.later(delay, [this] {
    if (state_ == BackendState::kWaiting) connect();
  });
}

void FakeBackend::connect() {
  older_.reset();
  connection_ = std::make_unique<Connection>(shared_.loop, static_cast<Connection::Owner&>(*this));
  ++generation_;
  refused_.reset();
  const std::error_code error = connection_->open(shared_.options.socket);
  if (!error) {
    waiting_told_ = false;
    was_connected_ = true;
    register_now();
    return become(BackendState::kConnected);
  }
  if (error == std::errc::resource_unavailable_try_again) return connect_in(kListenerIsFull);
  if (!shared_.options.reconnect) {
    std::cerr << "muster-fake-backend: " << shared_.options.socket.native() << ": "
              << error.message() << '\n';
    return become(was_connected_ ? BackendState::kGone : BackendState::kUnreachable);
  }
  if (!std::exchange(waiting_told_, true)) say("waiting " + shared_.options.socket.native());
  files_.open_unheld(holds_);
  connect_in(kRetry);
}

void FakeBackend::register_now() {
  const Behaviour& how = shared_.options.registering;
  if (how.act != Act::kAck) say("connected");
  switch (how.act) {
    case Act::kSilent:
      return;
    case Act::kHalfFrame:
      return connection_->send(registration_frame_.substr(0, registration_frame_.size() / 2));
    case Act::kGarbage:
      stay_away();
      return connection_->send(garbage(how.text, kRegisterRequest, registration_frame_));
    case Act::kByteByByte:
      connection_->trickle(how.delay);
      break;
    default:
      break;
  }
  connection_->send(registration_frame_);
}

void FakeBackend::connect_again() {
  shared_.loop.later(milliseconds(0), [this] {
    if (state_ != BackendState::kRegistered) return;
    auto before = std::move(connection_);
    become(BackendState::kWaiting);
    connect();  // lets go of one that is older still
    older_ = std::move(before);
  });
}

// --- what the broker says

void FakeBackend::on_frame(Connection& connection, std::string_view body) {
  wire::BrokerFrame frame;
  const std::string problem = shared_.decoder.decode(body, frame);
  if (!problem.empty()) return say("bad-frame " + problem);

  if (const auto* refusal = std::get_if<Refusal>(&frame.message)) {
    return on_message(connection, *refusal);
  }
  if (&connection != connection_.get()) return;  // it was replaced
  if (const auto* operation = std::get_if<OutgoingOperation>(&frame.message)) {
    on_message(*operation);
  } else if (const auto* cancel = std::get_if<wire::Cancel>(&frame.message)) {
    on_message(frame.request_id, *cancel);
  } else if (const auto* registered = std::get_if<Registered>(&frame.message)) {
    on_message(*registered);
  } else if (const auto* ended = std::get_if<HoldEnded>(&frame.message)) {
    on_message(*ended);
  } else if (const auto* deregistered = std::get_if<wire::Deregistered>(&frame.message)) {
    on_message(*deregistered);
  }
}

void FakeBackend::on_message(const Registered& registered) {
  say("registered " + registration_.key.to_string() + " incarnation " +
      std::to_string(registered.incarnation));
  for (const ActiveHold& hold : registered.active_holds) say("hold " + describe(hold));
  const auto is_in = [](const std::vector<ActiveHold>& holds, HoldId id) {
    return std::any_of(holds.begin(), holds.end(),
                       [id](const ActiveHold& hold) { return hold.id == id; });
  };
  for (const ActiveHold& hold : std::vector(holds_)) {
    if (!is_in(registered.active_holds, hold.id)) hold_ends(hold.id, "while-away");
  }
  for (const ActiveHold& hold : registered.active_holds) {
    if (!is_in(holds_, hold.id)) hold_starts(hold);
  }
  files_.open_unheld(holds_);
  if (state_ == BackendState::kConnected) become(BackendState::kRegistered);
}

void FakeBackend::on_message(const OutgoingOperation& operation) {
  const std::string text =
      std::to_string(operation.broadcast_id) + " " + describe(operation.operation);
  if (operation.operation.is_unknown()) {
    say("operation " + text);
    return answer(operation.broadcast_id,
                  Failure{BroadcastFailureReason::kUnsupportedOperation, "unknown"});
  }
  const auto kind = static_cast<std::size_t>(operation.operation.kind());
  const auto& behaviours = shared_.options.on.at(kind);
  if (const Asked* before = find(operation.broadcast_id)) {
    say("redelivered " + text);
    return play_again(*this, behaviours[before->behaviour], operation);
  }
  say("operation " + text);
  std::size_t& times = times_.at(kind);
  const std::size_t behaviour = std::min(times++, behaviours.size() - 1);
  Asked& asked = asked_[asked_next_++ % asked_.size()];
  asked = Asked{operation.broadcast_id, behaviour, false, {}, operation.hold_id};
  if (const auto* release = operation.operation.as_release_handles()) asked.release = *release;
  play(*this, behaviours[behaviour], operation);
}

void FakeBackend::on_message(std::uint64_t request_id, const wire::Cancel&) {
  if (Asked* asked = find(request_id)) asked->cancelled = true;
  say("cancelled " + std::to_string(request_id));
}

void FakeBackend::on_message(Connection& connection, const Refusal& refusal) {
  say("refused " + describe(refusal.code) + ": " + refusal.reason);
  if (&connection == connection_.get()) refused_ = refusal;
}

void FakeBackend::on_message(const HoldEnded& ended) {
  hold_ends(ended.hold_id, to_string(ended.why));
  files_.open_unheld(holds_);
}

void FakeBackend::on_message(const wire::Deregistered&) {
  say("deregistered");
  connection_->close();
  become(BackendState::kAway);
}

void FakeBackend::on_bad_frame(Connection& connection, std::string_view problem) {
  say("bad-frame " + std::string(problem));
  if (&connection == connection_.get()) connection_is_over();
}

void FakeBackend::on_ended(Connection& connection) {
  if (&connection != connection_.get()) return;
  if (!refused_) say("disconnected");
  connection_is_over();
}

void FakeBackend::connection_is_over() {
  ++generation_;  // what is still to be answered was the old connection's
  if (refused_ && is_for_good(refused_->code)) return become(BackendState::kRefused);
  if (stays_away_ || state_ == BackendState::kLeaving ||
      (refused_ && is_to_stay_away(refused_->code))) {
    return become(BackendState::kAway);
  }
  if (!shared_.options.reconnect) return become(BackendState::kGone);
  become(BackendState::kWaiting);
  connect_in(std::max(kRetry, refused_ ? refused_->retry_after : kRetry));
}

// --- what it does

void FakeBackend::send(std::string_view bytes, const std::string& what) {
  if (!connection_ || !connection_->is_open()) return;
  connection_->send(bytes);
  if (shared_.options.verbose) say("sent " + what);
}

void FakeBackend::answer(std::uint64_t request_id, const Ack& message) {
  const Asked* const asked = find(request_id);
  if (asked != nullptr) release_files(*asked);
  send(wire::encode(request_id, message), std::to_string(request_id) + " ack");
  if (asked != nullptr) after_ack(*asked);
}

void FakeBackend::answer(std::uint64_t request_id, const Failure& message) {
  send(wire::encode(request_id, message), std::to_string(request_id) + " failure");
}

void FakeBackend::answer(std::uint64_t request_id, const Working& message) {
  send(wire::encode(request_id, message), std::to_string(request_id) + " working");
}

void FakeBackend::later(milliseconds delay, std::function<void()> task) {
  shared_.loop.later(delay, [this, generation = generation_, task = std::move(task)] {
    if (generation == generation_ && connection_->is_open()) task();
  });
}

void FakeBackend::drop() {
  connection_->close();
  ++generation_;
  say("dropped");
  become(BackendState::kAway);
}

void FakeBackend::drop_and_return(milliseconds delay) {
  connection_->close();
  ++generation_;
  say("dropped");
  become(BackendState::kWaiting);
  connect_in(delay);
}

void FakeBackend::deregister() {
  send(wire::encode(kDeregisterRequest, Deregister{}), "deregister");
  become(BackendState::kLeaving);
}

void FakeBackend::leave() {
  if (state_ == BackendState::kRegistered && connection_->is_open() && connection_->reads()) {
    return deregister();
  }
  if (state_ == BackendState::kLeaving) return;
  if (connection_) connection_->close();
  become(BackendState::kAway);
}

// --- files and holds

void FakeBackend::release_files(const Asked& asked) {
  if (!asked.release || shared_.options.never_close) return;
  if (!files_.close_below(*asked.release) || !shared_.options.reopen_after) return;
  shared_.loop.later(*shared_.options.reopen_after, [this] { files_.open_all(); });
}

void FakeBackend::after_ack(const Asked& asked) {
  if (!asked.release) return;
  const bool is_new =
      asked.hold && std::none_of(holds_.begin(), holds_.end(),
                                 [&](const auto& one) { return one.id == *asked.hold; });
  if (is_new) hold_starts({*asked.hold, asked.release->path_prefix, 0, asked.release->alias});
  // As soon as somebody needs them, but never in the way of the ack.
  if (!asked.hold && !shared_.options.reopen_after) {
    shared_.loop.later(milliseconds(0), [this] { files_.open_unheld(holds_); });
  }
}

void FakeBackend::hold_starts(ActiveHold hold) {
  say("hold-started " + describe(hold));
  holds_.push_back(std::move(hold));
}

void FakeBackend::hold_ends(HoldId id, std::string_view why) {
  say("hold-ended " + std::to_string(id) + " " + std::string(why));
  std::erase_if(holds_, [id](const ActiveHold& hold) { return hold.id == id; });
}

bool FakeBackend::is_cancelled(std::uint64_t request_id) const {
  return std::any_of(asked_.begin(), asked_.end(),
                     [&](const Asked& asked) { return asked.id == request_id && asked.cancelled; });
}

FakeBackend::Asked* FakeBackend::find(std::uint64_t request_id) {
  auto* found = std::find_if(asked_.begin(), asked_.end(),
                             [&](const Asked& asked) { return asked.id == request_id; });
  return found == asked_.end() ? nullptr : found;
}

}  // namespace muster::fake
