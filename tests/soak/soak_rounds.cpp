// What is asked, and what must come of it.
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "soak/soak.h"

namespace muster::soak {
namespace {

using Response = BroadcastBackendResponse;

Response failed() { return Response::failure(BroadcastFailureReason::kBackendError); }

}  // namespace

Response Soak::usual(BroadcastId id, std::uint32_t key) const {
  if (kind_of(key) == Kind::kAsleep) return Response::timeout();
  if (kind_of(key) == Kind::kPlain) return Response::ack();
  if (reaction_of(options_.seed, id, key, false) != Reaction::kFail) return Response::ack();
  return Response::failure(reason_of(options_.seed, id, key));
}

Soak::Question Soak::question_to(Kind kind) {
  Question question;
  question.selected.kind = kind;
  if (rng_.chance(60)) question.selected.group = rng_.below(kGroups);
  if (rng_.chance(30)) {
    question.ack_timeout =
        kind == Kind::kAsleep ? std::chrono::milliseconds(1 + rng_.below(50)) : kHour;
  }
  return question;
}

Soak::Open Soak::ask(const Question& question, const Respond& respond) {
  BroadcastRequest request;
  request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  if (question.alone) {
    request.operation = BroadcastOperation::release_handles(std::string(kAlone));
  } else if (rng_.chance(80)) {
    request.operation =
        BroadcastOperation::release_handles("/soak/" + std::to_string(rng_.below(1000)));
  }
  request.ack_timeout = question.ack_timeout;
  request.selection = question.selected.selection();
  const bool twice = rng_.chance(10);
  if (twice) request.operation_key = "round " + std::to_string(rounds_) + std::to_string(last_id_);

  const auto accepted = client_->start_broadcast(request);
  const auto id = accepted.broadcast_id;
  auto expected = members_.expected(request.operation, question.selected, question.ack_timeout,
                                    [&](std::uint32_t key) { return respond(id, key); });
  if (id <= last_id_) throw std::runtime_error("an id was given twice: " + std::to_string(id));
  last_id_ = id;
  if (accepted.targets != expected.sent_count() ||
      accepted.skipped_dead != expected.skipped_dead.size()) {
    throw std::runtime_error("broadcast " + std::to_string(id) + " asks " +
                             std::to_string(accepted.targets) + " and skips " +
                             std::to_string(accepted.skipped_dead) + "; it should be\n  " +
                             to_string(expected));
  }
  if (twice && client_->start_broadcast(request).broadcast_id != id) {
    throw std::runtime_error("the same operation key gave two broadcasts");
  }
  ++sums_.broadcasts_started;
  sums_.acks += expected.acks.size();
  sums_.timeouts += expected.timeouts.size();
  sums_.failures += expected.failures.size();
  sums_.skipped_dead += expected.skipped_dead.size();
  progress_.add(expected);
  return {id, std::move(expected), BroadcastState::kFinished, outcomes()};
}

// Asked again and again rather than waited for: a broadcast that never ends is told, too.
BroadcastReport Soak::ended(BroadcastId id) {
  constexpr std::chrono::minutes kPatience{1};
  constexpr std::chrono::microseconds kPause{200};
  const auto end = Clock::now() + kPatience;
  for (;;) {
    auto report = client_->report(id);
    if (report.state != BroadcastState::kRunning || Clock::now() > end) return report;
    std::this_thread::sleep_for(kPause);
  }
}

void Soak::look_at(const Open& open) {
  const auto report = ended(open.id);
  if (report.result == open.expected && report.state == open.state) return;
  std::string picture = "broadcast " + std::to_string(open.id) + " in round " +
                        std::to_string(rounds_) + " ended as (" +
                        std::string(to_string(report.state)) + ")\n  " + to_string(report.result) +
                        "\nand should have ended as (" + std::string(to_string(open.state)) +
                        ")\n  " + to_string(open.expected) + "\nEach backend:";
  for (const auto& backend : report.backends) {
    picture.append("\n  ").append(backend.key.replica).append(1, ' ');
    picture.append(to_string(backend.outcome));
    picture += " after " + std::to_string(backend.latency.count()) + " us of " +
               std::to_string(backend.ack_timeout.count()) + " ms, pid " +
               std::to_string(backend.pid) + ", sent again " +
               std::to_string(backend.redeliveries) + ' ' + backend.detail;
  }
  throw std::runtime_error(picture);
}

void Soak::look_at_all(std::vector<Open>& open) {
  for (const auto& one : open) look_at(one);
  open.clear();
}

void Soak::look_at_sleepers() {
  for (; !sleepers_.empty(); sleepers_.pop_front()) look_at(sleepers_.front());
}

void Soak::ordinary() {
  const auto as_usual = [this](BroadcastId id, std::uint32_t key) { return usual(id, key); };
  if (rng_.chance(30)) sleepers_.push_back(ask(question_to(Kind::kAsleep), as_usual));
  std::vector<Open> open;
  if (rng_.chance(20)) {
    auto question = question_to(Kind::kAwake);
    question.alone = true;
    open.push_back(ask(question, as_usual));
    look_at_all(open);
  }
  for (auto left = 1 + rng_.below(40); left > 0; --left) {
    open.push_back(ask(question_to(rng_.chance(85) ? Kind::kAwake : Kind::kPlain), as_usual));
  }
  look_at_all(open);
}

void Soak::everybody() {
  std::vector<Open> open;
  for (auto left = 1 + rng_.below(3); left > 0; --left) {
    open.push_back(ask({}, [this](BroadcastId id, std::uint32_t key) { return usual(id, key); }));
  }
  look_at_all(open);
}

// A process is killed that was asked and did not answer.
void Soak::dying() {
  const auto slot = some_slot(Kind::kAwake);
  silence(slot, true);
  std::vector<Open> open;
  for (auto left = 1 + rng_.below(8); left > 0; --left) {
    open.push_back(ask(question_to(Kind::kAwake), [&](BroadcastId id, std::uint32_t key) {
      return holder_[key] == slot ? failed() : usual(id, key);
    }));
  }
  hosts_.kill(slot);
  look_at_all(open);
  await_deaths(slot);
  replace(slot);
}

// A process answers all that it was asked, and is dead: its acks count.
void Soak::last_words() {
  const auto slot = some_slot(Kind::kAwake);
  std::vector<Question> questions;
  std::uint64_t answers = 0;
  for (auto left = 1 + rng_.below(8); left > 0; --left) {
    questions.push_back(question_to(Kind::kAwake));
    for (const auto key : members_.asked(questions.back().selected)) {
      answers += holder_[key] == slot ? 1 : 0;
    }
  }
  if (answers == 0) return;
  (void)hosts_.ask(slot, {Order::Kind::kLastWords, 0, answers}, Reply::Kind::kDone);
  std::vector<Open> open;
  for (const auto& question : questions) {
    open.push_back(ask(question, [&](BroadcastId id, std::uint32_t key) {
      return holder_[key] == slot ? Response::ack() : usual(id, key);
    }));
  }
  hosts_.await_end(slot);
  look_at_all(open);
  await_deaths(slot);
  replace(slot);
}

void Soak::cancelling() {
  const auto slot = some_slot(Kind::kAwake);
  silence(slot, true);
  std::vector<Open> open;
  for (const auto key : held_by(slot)) {
    if (!members_.is_live(key) || !rng_.chance(30)) continue;
    Question question;
    question.selected.one = key;
    open.push_back(ask(question, [](BroadcastId, std::uint32_t) {
      return Response::failure(BroadcastFailureReason::kRejected);
    }));
    open.back().state = BroadcastState::kCancelled;
    if (client_->cancel(open.back().id) != 1) throw std::runtime_error("nobody was cancelled");
  }
  look_at_all(open);
  silence(slot, false);
}

// A process that is stopped costs its own timeouts.
void Soak::stopped() {
  look_at_sleepers();
  const auto slot = some_slot(Kind::kAsleep);
  hosts_.stop(slot);
  ordinary();
  everybody();
  look_at_sleepers();
  hosts_.continue_it(slot);
}

// One that does not read is disconnected when its queue is full; while its process lives it is
// asked all the same, and fails.
void Soak::flood() {
  constexpr std::size_t kMost = 1'000;  // in flight
  const auto slot = some_slot(Kind::kPlain);
  std::vector<std::uint32_t> live;
  for (const auto key : held_by(slot)) {
    if (members_.is_live(key)) live.push_back(key);
  }
  if (live.empty()) return;
  look_at_sleepers();
  Question question;
  question.selected.one = rng_.pick(live);
  const auto key = *question.selected.one;
  (void)hosts_.ask(slot, {Order::Kind::kStopReading, key, 0}, Reply::Kind::kDone);
  std::vector<Open> open;
  const auto is_connected = [&] {
    const auto list = client_->backends(question.selected.selection());
    return list.size() == 1 && list[0].state == BackendState::kLive;
  };
  while (open.size() < kMost && is_connected()) {
    open.push_back(ask(question, [](BroadcastId, std::uint32_t) { return failed(); }));
  }
  if (open.size() == kMost) throw std::runtime_error("who does not read is not disconnected");
  open.push_back(ask(question, [](BroadcastId, std::uint32_t) { return failed(); }));
  (void)hosts_.hear(slot, Reply::Kind::kEnded);
  ++sums_.slow_readers;
  hosts_.kill(slot);
  look_at_all(open);
  await_deaths(slot);
  replace(slot);
}

}  // namespace muster::soak
