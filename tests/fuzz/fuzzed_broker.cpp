#include "fuzz/fuzzed_broker.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "broker/deliver.h"
#include "support/report_value.h"

namespace muster::fuzz {
namespace {

using simulator::Line;

constexpr std::uint32_t kProcesses = 4;

// Another user, the same program started again, one from another pid namespace.
core::Peer peer_of(std::uint32_t process) {
  constexpr std::array<core::ProcessId, kProcesses> kIds{{{100, 1}, {101, 2}, {101, 3}, {0, 0}}};
  core::Peer peer;
  peer.process = kIds[process];
  peer.uid = process < 2 ? 0 : 1000;
  peer.gid = peer.uid;
  return peer;
}

}  // namespace

FuzzedBroker::FuzzedBroker(core::Config config)
    : shell_([this](BroadcastId id) { finished(id); }),
      policy_(config.policy),
      broker_(std::move(config), shell_) {}

core::Now FuzzedBroker::at() const {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch());
  return {now_, 1'700'000'000'000 + static_cast<std::uint64_t>(since.count())};
}

template <class Call>
void FuzzedBroker::call(Call&& call) {
  shell_.sim.begin(broker_, now_);
  call();
  shell_.sim.end();
}

// --- what happens

void FuzzedBroker::connect(std::uint32_t process) {
  process %= kProcesses;
  const auto number = static_cast<std::uint32_t>(partial_.size());
  partial_.emplace_back();
  shell_.sim.connect(number, process);
  const auto id = shell_.sim.accept(number).id;
  call([&] { broker_.connection_opened(id, peer_of(process), at()); });
  check();
}

void FuzzedBroker::bytes(std::uint32_t connection, std::string_view stream) {
  auto* line = shell_.sim.line(connection);
  if (line == nullptr) return;
  const auto is_read = [&] {
    return line->broker == Line::Broker::kOpen && !line->end_told && !line->too_slow;
  };
  if (!is_read()) return;
  auto problem = broker::split_frames(
      partial_[connection], stream, wire::kMaxBackendBody, [&](std::string_view body) {
        call([&] {
          auto wrong = decoder_.decode(body, incoming_);
          if (wrong.empty()) return broker::deliver(broker_, line->id, incoming_, at());
          broker_.protocol_error(line->id, 0, std::move(wrong), at());
        });
        check();
        return is_read();
      });
  if (!problem.empty() && is_read()) {
    call([&] { broker_.protocol_error(line->id, 0, std::move(problem), at()); });
    check();
  }
  lose_slow_readers();
}

void FuzzedBroker::close(std::uint32_t connection) {
  auto* line = shell_.sim.line(connection);
  if (line == nullptr || line->broker != Line::Broker::kOpen || line->end_told) return;
  line->end_told = true;
  call([&] { broker_.connection_lost(line->id, core::LossCause::kClosed, at()); });
  check();
}

void FuzzedBroker::read(std::uint32_t connection) {
  if (auto* line = shell_.sim.line(connection)) line->outbox.clear();
}

void FuzzedBroker::lose_slow_readers() {
  for (auto& [number, line] : shell_.sim.lines()) {
    if (!line.too_slow || line.broker != Line::Broker::kOpen || line.end_told) continue;
    line.end_told = true;
    call([&] { broker_.connection_lost(line.id, core::LossCause::kSlowReader, at()); });
    check();
  }
}

void FuzzedBroker::exit(std::uint32_t process) {
  process %= kProcesses;
  if (peer_of(process).process.pid == 0) return;  // nobody could tell
  for (auto& [number, line] : shell_.sim.lines()) {
    if (line.process != process || line.exit_due || line.broker == Line::Broker::kReleased)
      continue;
    line.exit_due = true;
    // A child has every other one of its connections.
    const bool inherited = line.broker == Line::Broker::kOpen && number % 2 == 1;
    call([&] { broker_.process_exited(line.id, at(), inherited); });
    check();
  }
}

void FuzzedBroker::start(BroadcastRequest request) {
  call([&] {
    // A hold is somebody's.
    std::optional<muster::Operator> by;
    if (request.hold) by = muster::Operator{1000, 50, "tool"};
    const auto uid = by ? std::optional(by->uid) : std::nullopt;
    const auto before = broker_.dry_run(request, at(), uid);
    const auto answer = broker_.start_broadcast(std::move(request), at(), std::move(by));
    const auto* started = std::get_if<core::Started>(&answer);
    const auto* would = std::get_if<DryRun>(&before);
    if (started == nullptr) {
      return must(!std::get<ControlError>(answer).message.empty(), "a refusal says why");
    }
    must(would != nullptr, "what is started was no mistake before");
    if (started->joined) return;
    must(started->targets == would->would_ask.size() + would->would_fail.size(),
         "a dry run says who would be asked");
    must(started->backends_unknown == would->backends_unknown,
         "a dry run says whether all backends are known");
    must(started->skipped_dead == would->skipped_dead.size(), "a dry run says who is dead");
  });
  check();
  lose_slow_readers();
}

void FuzzedBroker::cancel(BroadcastId id) {
  call([&] { (void)broker_.cancel_broadcast(id, at()); });
  check();
}

void FuzzedBroker::shut_down() {
  call([&] { broker_.shut_down(at()); });
  check();
  lose_slow_readers();
}

void FuzzedBroker::scanned(BroadcastId id, HolderScan scan) {
  (void)shell_.sim.take_scan(id);
  call([&] { broker_.scanned(id, std::move(scan), at()); });
  check();
}

void FuzzedBroker::end_hold(HoldId id) {
  call([&] { (void)broker_.end_hold(id, at()); });
  check();
  lose_slow_readers();
}

void FuzzedBroker::hold_left(HoldId id) {
  call([&] { broker_.hold_left(id, at()); });
  check();
  lose_slow_readers();
}

void FuzzedBroker::keep_hold(HoldId id, uid_t uid, bool detach) {
  call([&] {
    const auto error =
        detach ? broker_.detach_hold(id, uid, at()) : broker_.keep_hold(id, uid, at());
    const auto hold = broker_.hold(id);
    must(error || (hold && hold->asked_by->uid == uid), "a hold is kept by its user alone");
  });
  check();
}

void FuzzedBroker::look(BroadcastId id, const Selection& selection) {
  const auto report = test::report_value(broker_, id, at());
  if (const auto* good = std::get_if<BroadcastReport>(&report)) check_report(*good);
  for (const auto& backend : broker_.backends(selection)) {
    // What follows '~' is the broker's: it tells two processes with one key apart.
    BackendKey registered = backend.key;
    if (const auto at = registered.replica.rfind('~'); at != std::string::npos) {
      registered.replica.resize(at);
    }
    must(!registered.problem(), "a backend that is listed has a good key");
    must(selects(selection, backend.key, backend.labels),
         "only those are listed that are selected");
    must(policy_ == nullptr ||
             policy_->may_register({backend.uid, backend.gid, {}}, backend.key).allowed,
         "who is listed may register as that");
  }
  (void)broker_.latest_deadline();
}

// --- time

void FuzzedBroker::fire(const simulator::SimShell::Armed& armed) {
  const auto id = armed.id;
  shell_.sim.take(id);
  call([&] { broker_.deadline_passed(id, at()); });
  check();
  lose_slow_readers();
}

bool FuzzedBroker::next_deadline() {
  const auto& armed = shell_.sim.armed();
  if (armed.empty()) return false;
  const auto next = *std::min_element(armed.begin(), armed.end(),
                                      [](const auto& a, const auto& b) { return a.at < b.at; });
  now_ = std::max(now_, next.at);
  fire(next);
  return true;
}

void FuzzedBroker::pass(std::chrono::milliseconds time) {
  const auto end = now_ + time;
  const auto is_due = [&](const auto& armed) { return armed.at <= end; };
  // Some arm themselves again: once around is enough.
  for (auto left = shell_.sim.armed().size(); left > 0; --left) {
    const auto& armed = shell_.sim.armed();
    if (!std::any_of(armed.begin(), armed.end(), is_due)) break;
    next_deadline();
  }
  now_ = end;
}

void FuzzedBroker::stale_deadline() {
  if (shell_.sim.stale().empty()) return;
  const auto id = shell_.sim.stale().front();
  shell_.sim.take_stale(0);
  call([&] { broker_.deadline_passed(id, at()); });
  check();
}

// --- what must be true

void FuzzedBroker::check_report(const BroadcastReport& report) const {
  std::size_t open = 0;
  for (const auto& backend : report.backends) open += backend.outcome == OutcomeKind::kOpen ? 1 : 0;
  const auto& result = report.result;
  must(result.sent_count() + result.skipped_dead.size() + open == report.backends.size(),
       "every backend has one outcome, or is open");
  must((open == 0) == (report.state != BroadcastState::kRunning),
       "a broadcast ends with its last outcome");
  must(!report.verification || report.verify, "what is not to be verified is not");
  must(report.state != BroadcastState::kCancelled || !report.verification,
       "what is cancelled is not verified");
  const auto done = results_.find(report.broadcast_id);
  must(done == results_.end() || done->second == result, "a result does not change any more");
}

// Whoever waits for the end can read the report then; later it may have to make room.
void FuzzedBroker::finished(BroadcastId id) {
  const auto report = test::report_value(broker_, id, at());
  const auto* good = std::get_if<BroadcastReport>(&report);
  must(good != nullptr, "what has just ended has a report");
  check_report(*good);
  must(results_.emplace(id, good->result).second, "a broadcast ends once");
}

void FuzzedBroker::check() {
  BrokerStatus status;
  broker_.fill_status(status);
  std::size_t open = 0;
  for (const auto id : status.running_broadcasts) {
    const auto report = test::report_value(broker_, id, at());
    const auto* good = std::get_if<BroadcastReport>(&report);
    must(good != nullptr && !is_over(good->state), "what runs has a report");
    check_report(*good);
    for (const auto& one : good->backends) open += one.outcome == OutcomeKind::kOpen ? 1 : 0;
  }
  const core::Inspection inside(broker_);
  must(inside.open_operations() == open, "backends owe what broadcasts wait for");
  must(shell_.sim.armed(core::Deadline::Kind::kTarget) == open, "each open target has a deadline");
  must(inside.deadlines_armed() == shell_.sim.armed().size(), "the core knows what is armed");
  const auto& lines = shell_.sim.lines();
  const auto known = std::count_if(lines.begin(), lines.end(), [](const auto& entry) {
    return entry.second.broker != Line::Broker::kReleased;
  });
  must(inside.sessions() == static_cast<std::size_t>(known), "each connection is known, once");
  const auto& counters = status.counters;
  // A target that is away, or lost, has an outcome without an operation that was sent.
  must(counters.acks + counters.timeouts + counters.failures + open >= counters.operations_sent,
       "each operation that was sent has one outcome, or is open");
  for (const auto& user : status.users) {
    for (const auto& share : {user.connections, user.registrations, user.broadcasts, user.holds}) {
      must(share.used <= share.quota, "nobody has more than its quota");
    }
  }
  const auto holds = broker_.holds();
  const auto recorded = std::count_if(holds.begin(), holds.end(), [](const HoldInfo& hold) {
    return hold.state.since_unix_ms != 0;
  });
  must(broker_.holds_to_keep().size() == static_cast<std::size_t>(recorded),
       "a hold is kept from its beginning on");
  for (const HoldInfo& hold : holds) {
    must(!hold.state.ended, "a hold that goes on has not ended");
    const auto report = test::report_value(broker_, hold.id, at());
    const auto* kept = std::get_if<BroadcastReport>(&report);
    must(kept != nullptr && kept->hold == hold.state, "the report of a hold stays and shows it");
  }
  must(counters.broadcasts_started ==
           counters.broadcasts_finished + status.running_broadcasts.size(),
       "each broadcast runs, or has ended");
}

void FuzzedBroker::wind_down() {
  shut_down();
  while (!shell_.sim.scans().empty()) scanned(shell_.sim.scans().front().id, {});
  for (const HoldInfo& hold : broker_.holds()) end_hold(hold.id);
  must(broker_.holds().empty(), "a broker that goes down ends a hold at once");
  for (std::uint32_t one = 0; one < connections(); ++one) close(one);
  for (std::uint32_t process = 0; process < kProcesses; ++process) exit(process);
  for (int rounds = 0; next_deadline(); ++rounds) {
    must(rounds < 10'000, "deadlines are not armed for ever");
  }
  // Of those nothing tells the end.
  for (const BackendInfo& info : broker_.backends({})) {
    if (info.state != BackendState::kLost) continue;
    call([&] { must(!broker_.forget(info.key, at()), "a lost backend can be forgotten"); });
  }
  const core::Inspection inside(broker_);
  must(inside.open_operations() == 0, "in the end nobody owes anything");
  must(inside.deadlines_armed() == 0, "in the end nothing is armed");
  must(inside.sessions() == 0, "in the end no connection is known");
  BrokerStatus status;
  broker_.fill_status(status);
  must(status.running_broadcasts.empty() && status.reports_kept == 0 && status.live_backends == 0 &&
           status.dead_backends == 0,
       "in the end everything has ended or expired");
}

}  // namespace muster::fuzz
