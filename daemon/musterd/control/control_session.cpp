#include "musterd/control/control_session.h"

#include <array>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "muster/path.h"

#include "broker/broker_server.h"
#include "model/operation_table.h"
#include "net/spawn.h"

namespace muster::daemon {
namespace {

constexpr std::chrono::milliseconds kLook{10};

net::StreamLimits limits_for(const ControlSettings& settings, const AnswerAccount& account) {
  net::StreamLimits limits;
  if (account != nullptr) {
    limits.charge_received = [account](std::ptrdiff_t bytes) {
      const auto change = static_cast<std::uint64_t>(bytes < 0 ? -bytes : bytes);
      if (bytes < 0) {
        account->used -= change;
      } else {
        if (!account->has_room_for(change)) return false;
        account->used += change;
      }
      return true;
    };
  }
  limits.first_body = wire::kMaxFirstBody;
  limits.body = wire::kMaxControlBody;
  limits.queued_bytes = settings.event_queue + settings.answer_queue;
  return limits;
}

// Null when the request selects nobody.
const Selection* selection_of(const decltype(wire::ControlRequestFrame::message)& request) {
  if (const auto* start = std::get_if<wire::StartBroadcast>(&request)) {
    return &start->request.selection;
  }
  if (const auto* list = std::get_if<wire::ListBackends>(&request)) return &list->selection;
  if (const auto* resume = std::get_if<wire::Resume>(&request)) return &resume->selection;
  return nullptr;
}

// The operation key with which a broadcast is to be started; nothing for anything else.
std::optional<KeyEntry> key_of(const decltype(wire::ControlRequestFrame::message)& request,
                               uid_t uid) {
  const auto* start = std::get_if<wire::StartBroadcast>(&request);
  if (start == nullptr || start->dry_run) return std::nullopt;
  const std::string& key = start->request.operation_key;
  if (key.empty() || key.size() > kMaxOperationKeyBytes) return std::nullopt;
  BroadcastRequest normal = start->request;
  // The core refuses what cannot be asked for.
  if (!normalize(normal.operation).empty()) return std::nullopt;
  KeyEntry entry;
  entry.uid = uid;
  entry.key = key;
  entry.request = core::request_text(normal);
  return entry;
}

// Takes back at its end what was not sent.
class IntendedKey {
 public:
  IntendedKey(KeyStore& keys, const KeyEntry& entry)
      : keys_(keys), uid_(entry.uid), key_(entry.key) {}
  ~IntendedKey() {
    keys_.set_at_risk(false);
    keys_.withdraw(uid_, key_);
  }
  IntendedKey(const IntendedKey&) = delete;
  IntendedKey& operator=(const IntendedKey&) = delete;

  // REQUIRES: nothing else begins before its end.
  void begins(bool at_risk) { keys_.set_at_risk(at_risk); }

 private:
  KeyStore& keys_;
  const uid_t uid_;
  const std::string key_;
};

}  // namespace

ControlSession::ControlSession(std::shared_ptr<ControlContext> context, os::UniqueFd socket,
                               OperatorPeer who, core::Taken place, AnswerAccount answers)
    : context_(std::move(context)),
      stream_(context_->loop, std::move(socket), limits_for(context_->settings, answers)),
      who_(std::move(who)),
      place_(std::move(place)),
      answers_(std::move(answers)),
      turn_(context_->turns, who_.uid),
      last_request_(std::chrono::steady_clock::now()),
      missing_timer_(context_->loop),
      linger_timer_(context_->loop),
      answer_timer_(context_->loop) {
  ++context_->connections;
}

ControlSession::~ControlSession() {
  --context_->connections;
  for (const Open& request : requests_) context_->followers -= request.events ? 1 : 0;
  std::erase_if(context_->owned, [this](const auto& one) { return one.second.session == this; });
}

bool ControlSession::is_idle(std::chrono::steady_clock::time_point now) const noexcept {
  return requests_.empty() && stream_.queued_bytes() == 0 && !selected_ && !has_lease() &&
         now - last_request_ >= context_->settings.idle;
}

asio::awaitable<void> ControlSession::run(std::shared_ptr<ControlSession> self) {
  while (!self->finishing_) {
    self->turn_.end();
    const net::Received received = co_await self->stream_.receive();
    if (self->finishing_) break;
    // Before anything is done for it: even to read what a request says takes its time.
    co_await UserTurns::Turn::begin(self->turn_);
    if (self->finishing_) break;
    if (received.error == net::Errc::kBadFrame) {
      self->protocol_error(0, received.problem);
      break;
    }
    if (received.error == net::Errc::kNoRoom) self->no_room(0);
    if (received.error) break;
    self->last_request_ = std::chrono::steady_clock::now();
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
    // Who gave up before its request was read does not expect it to be run any more.
    if (!self->stream_.has_peer()) break;
    if (const auto why_not = self->denied(frame.message)) {
      self->respond(frame.request_id, *why_not);
      continue;
    }
    const std::uint64_t id = frame.request_id;
    std::string failure;
    bool goes_on = true;
    try {
      goes_on = co_await serve(self, std::move(frame));
    } catch (const std::exception& e) {  // no memory: it costs this request
      failure = e.what();
    }
    self->selected_.reset();
    if (!failure.empty()) self->request_failed(id, failure);
    if (!goes_on) break;
  }
  self->turn_.end();
  self->leave_holds();
  self->missing_timer_.cancel();
  self->finish();
  // Nothing tells when what was said last is written; mostly it is by now.
  while (self->stream_.is_open()) {
    self->missing_timer_.expires_after(kLook);
    co_await self->missing_timer_.async_wait(net::kUseTuple);
  }
  self->linger_timer_.cancel();
}

asio::awaitable<bool> ControlSession::serve(std::shared_ptr<ControlSession> self,
                                            wire::ControlRequestFrame frame) {
  if (const Selection* selection = selection_of(frame.message)) {
    if (const auto terms = term_count(*selection); terms > kMaxSelectionTerms) {
      self->respond(frame.request_id,
                    ControlError{ControlError::Code::kInvalid,
                                 fmt::format("the selection has {} terms, and a request may have "
                                             "{}: select with fewer, or ask in parts",
                                             terms, kMaxSelectionTerms)});
      co_return true;
    }
    self->selected_.emplace(*selection);
  }
  std::optional<IntendedKey> key;
  bool at_risk = false;
  if (auto intended = key_of(frame.message, self->who_.uid);
      intended && self->context_->facts.keys != nullptr) {
    intended->started_unix_ms = self->context_->server->now().unix_ms;
    key.emplace(*self->context_->facts.keys, *intended);
    self->turn_.end();
    const bool is_kept = co_await keep_key(self, std::move(*intended));
    at_risk = !is_kept;
    co_await UserTurns::Turn::begin(self->turn_);
    if (self->finishing_ || !self->stream_.has_peer()) co_return false;
  }
  if (self->selected_) {
    co_await select(self);
    if (self->finishing_ || !self->stream_.has_peer()) co_return false;
  }
  if (key) key->begins(at_risk);
  if (std::holds_alternative<wire::ListBackends>(frame.message)) {
    co_await list(self, frame.request_id);
  } else if (const auto* resumes = std::get_if<wire::Resume>(&frame.message)) {
    co_await resume(self, frame.request_id, resumes->id);
  } else if (auto* find = std::get_if<wire::FindHolders>(&frame.message)) {
    co_await find_holders(self, frame.request_id, std::move(*find));
  } else if (may_need_history(frame.message)) {
    co_await look_back(self, std::move(frame));
  } else {
    std::visit([&](auto& request) { self->handle(frame.request_id, std::move(request)); },
               frame.message);
  }
  co_return true;
}

asio::awaitable<bool> ControlSession::keep_key(std::shared_ptr<ControlSession> self,
                                               KeyEntry intended) {
  struct Answer {
    bool over = false;
    bool durable = false;
  };
  KeyStore& keys = *self->context_->facts.keys;
  const auto until = std::chrono::steady_clock::now() + kKeyPatience;
  for (;;) {
    const auto answer = std::make_shared<Answer>();
    const Journal::Durable done = [answer, weak = self->weak_from_this()](bool durable) {
      *answer = {true, durable};
      if (const auto waiting = weak.lock()) waiting->answer_timer_.cancel();
    };
    keys.intend(intended, done);
    while (!answer->over && !self->finishing_ && std::chrono::steady_clock::now() < until) {
      self->answer_timer_.expires_at(until);
      co_await self->answer_timer_.async_wait(net::kUseTuple);
    }
    if (!answer->over && !self->finishing_) keys.set_late();
    if (!answer->durable) co_return false;
    // Another request with the same key may have withdrawn it meanwhile.
    if (keys.find(intended.uid, intended.key) != nullptr) co_return true;
  }
}

asio::awaitable<void> ControlSession::select(std::shared_ptr<ControlSession> self) {
  const auto& core = self->context_->server->core();
  const std::function<bool()> turn_is_over = [turn = &self->turn_] { return turn->is_over(); };
  while (core.look_on(*self->selected_, turn_is_over)) {
    co_await UserTurns::Turn::begin(self->turn_);
    if (self->finishing_) co_return;
  }
}

asio::awaitable<void> ControlSession::list(std::shared_ptr<ControlSession> self, std::uint64_t id) {
  constexpr std::size_t kRowsBetweenLooks = 16;  // at the clock
  const core::BackendSnapshot backends = self->context_->server->core().snapshot(*self->selected_);
  std::string bytes;
  std::vector<BackendInfo> part;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    part.push_back(backends.info(i));
    if (part.size() < kRowsBetweenLooks && i + 1 < backends.size()) continue;
    bytes += wire::list_part(part);
    part.clear();
    if (self->answers_ != nullptr && !self->answers_->has_room_for(bytes.size())) {
      co_return self->no_room(id);
    }
    if (bytes.size() > wire::kMaxControlBody || !self->turn_.is_over()) continue;
    co_await UserTurns::Turn::begin(self->turn_);
    if (self->finishing_) co_return;
  }
  const auto around = wire::list_around(id, bytes.size());
  if (!around) co_return self->respond(id, wire::too_large_list(bytes.size()));
  const auto charged = charged_bytes(std::move(bytes), self->answers_);
  if (charged == nullptr) co_return self->no_room(id);
  self->end_request(id);
  const std::array<net::SharedBytes, 3> parts{std::make_shared<const std::string>(around->before),
                                              charged,
                                              std::make_shared<const std::string>(around->after)};
  self->sent(self->stream_.send(parts));
}

asio::awaitable<void> ControlSession::find_holders(std::shared_ptr<ControlSession> self,
                                                   std::uint64_t id, wire::FindHolders request) {
  const NormalizedPath path = normalize_path_prefix(request.path);
  if (!path.problem.empty()) {
    co_return self->respond(id, ControlError{ControlError::Code::kInvalid, path.problem});
  }
  WantedScan wanted;
  wanted.user = self->who_.uid;
  wanted.request.path = path.path;
  wanted.request.mount_namespace = request.mount_namespace;
  wanted.without = self->own_process();
  wanted.children_after = os::ticks_now();
  const auto answer = std::make_shared<std::optional<HolderScan>>();
  auto done = [answer, weak = self->weak_from_this()](HolderScan scan) {
    *answer = std::move(scan);
    if (const auto waiting = weak.lock()) waiting->answer_timer_.cancel();
  };
  if (!self->context_->scans->scan(std::move(wanted), std::move(done))) {
    co_return self->respond(
        id, ControlError{ControlError::Code::kBusy,
                         fmt::format("other scans wait already ({} of one user at most): try again",
                                     HolderScans::kMostOfUser)});
  }
  self->turn_.end();
  while (!*answer && !self->finishing_) {
    self->answer_timer_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await self->answer_timer_.async_wait(net::kUseTuple);
  }
  co_await UserTurns::Turn::begin(self->turn_);
  if (self->finishing_ || !*answer) co_return;
  self->respond(id, std::move(**answer));
}

void ControlSession::finish() noexcept {
  finishing_ = true;
  turn_.cancel();
  try {
    answer_timer_.cancel();
    stream_.close_after_flush();
    if (!stream_.is_open() || std::exchange(lingering_, true)) return;
    linger_timer_.expires_after(context_->settings.linger);
    linger_timer_.async_wait([self = shared_from_this()](std::error_code error) {
      if (!error) self->stream_.close();
    });
  } catch (const std::exception&) {
    stream_.close();
  }
}

void ControlSession::close() noexcept {
  finishing_ = true;
  turn_.cancel();
  answer_timer_.cancel();
  stream_.close();
}

void ControlSession::turn_away(const ControlError& why) {
  respond(0, why);
  finish();
}

void ControlSession::protocol_error(std::uint64_t id, const std::string& problem) {
  auto& counters = context_->server->core().counters();
  ++counters.protocol_errors;
  if (may_log(LogLevel::kWarning)) {
    context_->log.warning("protocol error of an operator, closing its connection",
                          {{"pid", static_cast<std::int64_t>(who_.pid)},
                           {"uid", static_cast<std::uint64_t>(who_.uid)},
                           {"why", problem}});
  }
  respond(id, ControlError{ControlError::Code::kProtocol, problem});
}

void ControlSession::request_failed(std::uint64_t id, const std::string& what) {
  ++context_->server->core().counters().task_failures;
  respond(id, ControlError{ControlError::Code::kBusy,
                           "the broker could not do it: " + what + ": try again"});
  if (!may_log(LogLevel::kError)) return;
  context_->log.error("a request failed", {{"pid", static_cast<std::int64_t>(who_.pid)},
                                           {"uid", static_cast<std::uint64_t>(who_.uid)},
                                           {"why", what}});
}

}  // namespace muster::daemon
