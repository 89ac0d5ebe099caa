// What a backend does with what it hears.
#include <csignal>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "soak/host.h"

namespace muster::soak {

void Host::hear(Connection& connection, std::string_view body) {
  const auto problem = decoder_.decode(body, frame_);
  if (!problem.empty()) return trouble(connection.key, problem);
  if (const auto* operation = std::get_if<OutgoingOperation>(&frame_.message)) {
    operate(connection, *operation);
  } else if (std::holds_alternative<wire::Cancel>(frame_.message)) {
    cancelled(connection, frame_.request_id);
  } else if (const auto* registered = std::get_if<Registered>(&frame_.message)) {
    if (!connection.announces) return;
    send_reply(orders_, {Reply::Kind::kJoined, connection.key, registered->incarnation, {}});
  } else if (const auto* refusal = std::get_if<Refusal>(&frame_.message)) {
    const bool expected = refusal->code == RefusalCode::kReplaced ||
                          refusal->code == RefusalCode::kProtocol ||
                          refusal->code == RefusalCode::kShuttingDown;
    if (!expected) trouble(connection.key, refusal->reason);
  }
  // The broker ends the connection after Deregistered, which is read next.
}

void Host::operate(Connection& connection, const OutgoingOperation& operation) {
  const auto key = connection.key;
  const auto id = operation.broadcast_id;
  // A connection that was replaced owes nothing: its successor is asked again.
  if (silent_ || kind_of(key) == Kind::kAsleep || current_[key] != connection.fd.get()) return;
  const auto* quiesce = operation.operation.as_quiesce();
  const bool goes_down = quiesce != nullptr && quiesce->reason == QuiesceReason::kBrokerShutdown;
  const bool plain = goes_down || last_words_ != 0 || kind_of(key) == Kind::kPlain;
  if (!plain && !bounced_.contains({key, id})) {
    const auto* release = operation.operation.as_release_handles();
    return react(connection, id, release != nullptr && release->path_prefix == kAlone);
  }
  say(connection, wire::encode(id, Ack{}));
  if (last_words_ == 0) return;
  --last_words_;
  if (last_words_ == 0) ::kill(::getpid(), SIGKILL);
}

void Host::react(Connection& connection, BroadcastId id, bool alone) {
  constexpr std::size_t kRemembered = 4096;
  const auto key = connection.key;
  const auto come_back = [&] {
    if (bounced_.size() > kRemembered) bounced_.clear();
    bounced_.insert({key, id});
    join(key, false);
  };
  switch (reaction_of(seed_, id, key, alone)) {
    case Reaction::kAck:
      return say(connection, wire::encode(id, Ack{}));
    case Reaction::kAckTwice: {
      const auto ack = wire::encode(id, Ack{});
      return say(connection, ack + ack);
    }
    case Reaction::kWorkThenAck:
      say(connection, wire::encode(id, Working{std::chrono::seconds(1), 50, "half of it"}));
      return say(connection, wire::encode(id, Ack{}));
    case Reaction::kFail:
      return say(connection,
                 wire::encode(id, Failure{reason_of(seed_, id, key), std::to_string(key)}));
    case Reaction::kVanish:
      // Closed after the next one is open, so that its number is not used again meanwhile.
      ::shutdown(connection.fd.get(), SHUT_RDWR);
      come_back();
      return drop(connection.fd.get());
    case Reaction::kGarbage:
      say(connection, "not a frame");
      return come_back();
    case Reaction::kReplace:
      return come_back();
  }
}

void Host::cancelled(Connection& connection, BroadcastId id) {
  const auto key = connection.key;
  if (silent_ || kind_of(key) != Kind::kAsleep) return;
  const auto ack = wire::encode(id, Ack{});
  switch (afterthought_of(seed_, id, key)) {
    case Afterthought::kNone:
      return;
    case Afterthought::kLateAck:
      return say(connection, ack);
    case Afterthought::kLateFailure:
      return say(connection,
                 wire::encode(id, Failure{BroadcastFailureReason::kRejected, "too late"}));
    case Afterthought::kLateTwice:
      return say(connection, ack + ack);
  }
}

}  // namespace muster::soak
