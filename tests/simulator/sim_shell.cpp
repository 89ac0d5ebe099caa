#include "simulator/sim_shell.h"

#include <algorithm>

#include "simulator/universe.h"

namespace muster::simulator {

void SimShell::expect(bool good, const char* rule) const {
  if (!in_core_) throw Violation(std::string("the core called out of turn; ") + rule);
  if (!good) throw Violation(std::string("the core broke a rule of its shell: ") + rule);
}

void SimShell::begin(const core::Broker& broker, core::SteadyTime now) {
  if (in_core_) throw Violation("the simulation entered the core twice");
  broker_ = &broker;
  now_ = now;
  in_core_ = true;
  for (auto& armed : armed_) armed.is_new = false;
  sent.clear();
  operations.clear();
  ended_now.clear();
  holds_ended_now.clear();
  scans_now.clear();
  listed_now.clear();
  holds_changed_now = false;
  drained_now = false;
}

Line& SimShell::connect(std::uint32_t connection, std::uint32_t process) {
  auto& line = lines_[connection];
  line.process = process;
  return line;
}

Line& SimShell::accept(std::uint32_t connection) {
  auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.used; });
  if (free == slots_.end()) free = slots_.insert(free, Slot{});
  free->used = true;
  ++free->generation;
  free->connection = connection;
  auto& line = lines_.at(connection);
  line.id = {static_cast<std::uint32_t>(free - slots_.begin()), free->generation};
  line.broker = Line::Broker::kOpen;
  return line;
}

Line& SimShell::watch(std::uint32_t connection, std::uint32_t process) {
  connect(connection, process);
  auto& line = accept(connection);
  line.broker = Line::Broker::kHungUp;
  line.closed = true;
  line.end_told = true;
  return line;
}

Line* SimShell::line(std::int64_t connection) {
  const auto found = lines_.find(static_cast<std::uint32_t>(connection));
  return found == lines_.end() ? nullptr : &found->second;
}

void SimShell::reset(bool keep_sockets) {
  for (auto& [number, line] : lines_) {
    if (keep_sockets && line.broker == Line::Broker::kWaiting) continue;
    line.broker = Line::Broker::kReleased;
    line.account = nullptr;  // gone with the core
    line.inbox.clear();
  }
  for (auto& slot : slots_) slot.used = false;
  armed_.clear();
  stale_.clear();
  scans_.clear();
  last_generation_.clear();
  drained_ever_ = false;
}

// --- deadlines

void SimShell::arm(core::DeadlineId id, core::SteadyTime at) {
  expect(id.armed(), "generation 0 is no deadline");
  if (id.slot >= last_generation_.size()) last_generation_.resize(id.slot + 1);
  expect(id.generation > last_generation_[id.slot], "a deadline is armed once");
  last_generation_[id.slot] = id.generation;
  const auto what = core::Inspection(*broker_).deadline(id);
  expect(what.has_value(), "a deadline that is armed means something");
  armed_.push_back({id, at, what->kind});
}

void SimShell::cancel(core::DeadlineId id) {
  const auto found = std::find_if(armed_.begin(), armed_.end(),
                                  [&](const Armed& armed) { return armed.id == id; });
  expect(found != armed_.end(), "only a deadline that is armed is cancelled");
  if (found->at <= now_) stale_.push_back(id);
  armed_.erase(found);
}

void SimShell::take(core::DeadlineId id) {
  std::erase_if(armed_, [&](const Armed& armed) { return armed.id == id; });
}

void SimShell::take_stale(std::size_t index) {
  stale_.erase(stale_.begin() + static_cast<std::ptrdiff_t>(index));
}

std::size_t SimShell::armed(core::Deadline::Kind kind) const noexcept {
  return static_cast<std::size_t>(std::count_if(
      armed_.begin(), armed_.end(), [&](const Armed& armed) { return armed.kind == kind; }));
}

std::vector<SimShell::Armed> SimShell::forget_armed() {
  for (const Armed& armed : armed_) --last_generation_[armed.id.slot];
  return std::exchange(armed_, {});
}

bool SimShell::is_armed_as(std::vector<Armed> armed) const {
  const auto same = [](const Armed& a, const Armed& b) {
    return a.id == b.id && a.at == b.at && a.kind == b.kind;
  };
  return armed.size() == armed_.size() &&
         std::is_permutation(armed.begin(), armed.end(), armed_.begin(), same);
}

bool SimShell::was_ever_armed(core::DeadlineId id) const {
  return id.slot < last_generation_.size() && id.generation <= last_generation_[id.slot];
}

// --- connections

std::pair<std::uint32_t, Line*> SimShell::known(core::ConnectionId id, const char* rule) {
  const bool good = id.slot < slots_.size() && slots_[id.slot].used &&
                    slots_[id.slot].generation == id.generation;
  expect(good, rule);
  const auto number = slots_[id.slot].connection;
  return {number, &lines_.at(number)};
}

std::vector<gid_t> SimShell::groups_of(core::ConnectionId connection) {
  const auto [number, line] =
      known(connection, "groups are asked for of a connection that is there");
  return simulator::groups_of(line->process);
}

void SimShell::put(core::ConnectionId id, Sent message) {
  auto [number, line] = known(id, "nothing is sent to a connection that was released");
  expect(line->broker == Line::Broker::kOpen, "nothing is sent to a connection that was hung up");
  expect(!drained_now, "who drained has told every backend before");
  message.connection = number;
  sent.push_back(message);
  if (line->too_slow) return;
  const bool user_has_room = line->account == nullptr || line->account->has_room_for(1);
  if (line->outbox.size() >= queue_bound_ || !user_has_room) {
    line->too_slow = true;
    line->why_slow = line->outbox.size() >= queue_bound_ ? core::LossCause::kSlowReader
                                                         : core::LossCause::kUserQuota;
    return;
  }
  line->outbox.push_back(message);
  if (line->account != nullptr) ++line->account->used;
}

Sent SimShell::take_message(Line& line) {
  const auto message = line.outbox.front();
  line.outbox.pop_front();
  if (line.account != nullptr) --line.account->used;
  return message;
}

// While the core still has the account.
void SimShell::discharge(Line& line) {
  if (line.account != nullptr) line.account->used -= line.outbox.size();
  line.account = nullptr;
}

BroadcastId SimShell::next_broadcast_id() {
  expect(true, "");
  return next_id_++;
}

void SimShell::send(core::ConnectionId connection, const OutgoingOperation& operation) {
  const auto budget = operation.ack_timeout;
  if (operations.empty() || operations.back().broadcast_id != operation.broadcast_id ||
      operations.back().ack_timeout != budget) {
    operations.push_back(operation);
  }
  auto [number, line] = known(connection, "nothing is sent to a connection that was released");
  expect(operation.broadcast_id > line->last_operation,
         "a connection gets its operations in the order in which they were accepted");
  line->last_operation = operation.broadcast_id;
  put(connection, {0, Sent::Kind::kOperation, operation.broadcast_id,
                   static_cast<std::uint64_t>(budget.count())});
}

void SimShell::send(core::ConnectionId connection, std::uint64_t request_id,
                    const core::Notice& notice) {
  Sent message{0, Sent::Kind::kCancel, request_id, 0};
  if (const auto* registered = std::get_if<Registered>(&notice)) {
    message.kind = Sent::Kind::kRegistered;
    message.b = registered->incarnation;
    listed_now.emplace_back(known(connection, "who registers is there").first,
                            registered->active_holds);
  } else if (std::holds_alternative<core::DeregisteredNotice>(notice)) {
    message.kind = Sent::Kind::kDeregistered;
  } else if (const auto* ended = std::get_if<HoldEnded>(&notice)) {
    const bool is_resumed = ended->why == HoldEnd::kResumed;
    message.kind = is_resumed ? Sent::Kind::kResumed : Sent::Kind::kHoldEnded;
    message.a = ended->hold_id;
    if (!is_resumed) message.b = static_cast<std::uint64_t>(ended->why);
    for (int more = sends_of_hold_ends; more > 1; --more) put(connection, message);
    if (sends_of_hold_ends == 0) return;
  }
  put(connection, message);
}

void SimShell::refuse(core::ConnectionId connection, std::uint64_t request_id,
                      const Refusal& refusal, bool answers_a_request) {
  expect(!refusal.reason.empty(), "a refusal says why");
  put(connection,
      {0, Sent::Kind::kRefused, request_id, Sent::refusal(refusal.code, answers_a_request)});
}

void SimShell::hang_up(core::ConnectionId connection) {
  auto [number, line] = known(connection, "nobody hangs up a connection that was released");
  expect(line->broker == Line::Broker::kOpen, "a connection is hung up once");
  line->broker = Line::Broker::kHungUp;
  discharge(*line);
  line->inbox.clear();
  sent.push_back({number, Sent::Kind::kHangUp, 0, 0});
}

void SimShell::release(core::ConnectionId connection) {
  auto [number, line] = known(connection, "a connection is released once");
  line->broker = Line::Broker::kReleased;
  discharge(*line);
  line->inbox.clear();
  slots_[connection.slot].used = false;
  sent.push_back({number, Sent::Kind::kRelease, 0, 0});
}

// --- the rest

void SimShell::scan(const core::ScanOrder& order) {
  expect(true, "");
  scans_now.push_back(order);
  scans_.push_back(order);
}

bool SimShell::take_scan(BroadcastId id) {
  const auto found =
      std::find_if(scans_.begin(), scans_.end(), [&](const auto& order) { return order.id == id; });
  if (found == scans_.end()) return false;
  scans_.erase(found);
  return true;
}

void SimShell::report(const Event& event) {
  expect(true, "");
  on_event_(event);
}

void SimShell::drained() {
  expect(!drained_ever_, "drained() is asked for once");
  drained_ever_ = true;
  drained_now = true;
}

}  // namespace muster::simulator
