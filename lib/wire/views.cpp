// Lists of backends, dry runs, errors, status, policy.
#include "wire/views.h"

#include <algorithm>
#include <array>

#include <google/protobuf/wire_format_lite.h>

#include "model/counter_table.h"
#include "wire/values.h"

namespace muster::wire {
namespace {

using std::chrono::milliseconds;

constexpr EnumTable<BackendState, v1::BackendInfo::State, 4> kBackendStates{{
    {BackendState::kLive, v1::BackendInfo::LIVE},
    {BackendState::kReconnecting, v1::BackendInfo::RECONNECTING},
    {BackendState::kDead, v1::BackendInfo::DEAD},
    {BackendState::kLost, v1::BackendInfo::LOST},
}};

using Code = ControlError::Code;
constexpr EnumTable<Code, v1::ControlError::Code, 10> kCodes{{
    {Code::kInvalid, v1::ControlError::INVALID},
    {Code::kDenied, v1::ControlError::DENIED},
    {Code::kNotFound, v1::ControlError::NOT_FOUND},
    {Code::kInterrupted, v1::ControlError::INTERRUPTED},
    {Code::kExpired, v1::ControlError::EXPIRED},
    {Code::kBusy, v1::ControlError::BUSY},
    {Code::kShuttingDown, v1::ControlError::SHUTTING_DOWN},
    {Code::kKeyConflict, v1::ControlError::KEY_CONFLICT},
    {Code::kProtocol, v1::ControlError::PROTOCOL},
    {Code::kTooLarge, v1::ControlError::TOO_LARGE},
}};

// Counters are all alike: their table has the numbers of their fields.
void put_counters(const Counters& counters, v1::Counters& out) {
  MessageWriter bytes;
  for (const CounterRow& row : all_counters()) {
    bytes.number(static_cast<unsigned>(row.field), counters.*row.value);
  }
  (void)parse(out, bytes.view());
}

void take_counters(const v1::Counters& in, Counters& counters) {
  using google::protobuf::internal::WireFormatLite;
  const std::string bytes = serialize(in);
  google::protobuf::io::CodedInputStream fields(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  while (const std::uint32_t tag = fields.ReadTag()) {
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_VARINT) {
      if (!WireFormatLite::SkipField(&fields, tag)) return;  // of a newer broker
      continue;
    }
    std::uint64_t value = 0;
    if (!fields.ReadVarint64(&value)) return;
    for (const CounterRow& row : all_counters()) {
      if (row.field == WireFormatLite::GetTagFieldNumber(tag)) counters.*row.value = value;
    }
  }
}

void put_share(const Share& share, v1::Share& out) {
  out.set_used(share.used);
  out.set_quota(share.quota);
}

Share share_of(const v1::Share& in) { return {in.used(), in.quota()}; }

// What of a user is a share of something.
struct UserShare {
  Share UserUsage::*value;
  v1::Share* (v1::UserUsage::*put)();
  const v1::Share& (v1::UserUsage::*take)() const;
};

constexpr std::array<UserShare, 9> kUserShares{{
    {&UserUsage::connections, &v1::UserUsage::mutable_connections, &v1::UserUsage::connections},
    {&UserUsage::registrations, &v1::UserUsage::mutable_registrations,
     &v1::UserUsage::registrations},
    {&UserUsage::queued_bytes, &v1::UserUsage::mutable_queued_bytes, &v1::UserUsage::queued_bytes},
    {&UserUsage::broadcasts, &v1::UserUsage::mutable_broadcasts, &v1::UserUsage::broadcasts},
    {&UserUsage::operators, &v1::UserUsage::mutable_operators, &v1::UserUsage::operators},
    {&UserUsage::followers, &v1::UserUsage::mutable_followers, &v1::UserUsage::followers},
    {&UserUsage::answer_bytes, &v1::UserUsage::mutable_answer_bytes, &v1::UserUsage::answer_bytes},
    {&UserUsage::report_bytes, &v1::UserUsage::mutable_report_bytes, &v1::UserUsage::report_bytes},
    {&UserUsage::holds, &v1::UserUsage::mutable_holds, &v1::UserUsage::holds},
}};

void put_user(const UserUsage& user, v1::UserUsage& out) {
  out.set_uid(user.uid);
  for (const UserShare& share : kUserShares) {
    // A missing one is read as nothing of nothing.
    if (user.*share.value != Share{}) put_share(user.*share.value, *(out.*share.put)());
  }
  out.set_dead_backends(user.dead_backends);
}

UserUsage user_of(const v1::UserUsage& in) {
  UserUsage user;
  user.uid = in.uid();
  for (const UserShare& share : kUserShares) user.*share.value = share_of((in.*share.take)());
  user.dead_backends = in.dead_backends();
  return user;
}

}  // namespace

void to_proto(const BackendInfo& info, v1::BackendInfo& out) {
  to_proto(info.key, *out.mutable_key());
  out.set_state(proto_of(kBackendStates, info.state));
  out.set_incarnation(info.incarnation);
  out.set_pid(info.pid);
  out.set_uid(info.uid);
  for (const auto& [name, value] : info.labels) {
    (*out.mutable_labels())[to_utf8(name)] = to_utf8(value);
  }
  if (info.ack_timeout) out.set_ack_timeout_ms(to_ms(*info.ack_timeout));
  if (info.idle_timeout) out.set_idle_timeout_ms(to_ms(*info.idle_timeout));
  out.set_sdk_name(to_utf8(info.sdk_name));
  out.set_sdk_version(to_utf8(info.sdk_version));
  out.set_since_unix_ms(info.since_unix_ms);
  out.set_gone_because(to_utf8(info.gone_because, kMaxDetailBytes));
  out.set_open_operations(info.open_operations);
  out.set_gid(info.gid);
  out.set_exe(to_utf8(info.exe));
  out.set_exe_problem(to_utf8(info.exe_problem));
  out.set_process_started_unix_ms(info.process_started_unix_ms);
  out.set_cause(proto_of(kCauses, info.cause));
  if (info.quiesced) {
    out.set_quiesced_unix_ms(info.quiesced->since_unix_ms);
    out.set_quiesced_by_broadcast(info.quiesced->broadcast);
    if (info.quiesced->by) to_proto(*info.quiesced->by, *out.mutable_quiesced_by());
    out.set_quiesced_reason(proto_of(kQuiesceReasons, info.quiesced->reason));
  }
  out.set_cannot_resume(!info.can_resume);
}

std::string from_proto(const v1::BackendInfo& in, BackendInfo& info) {
  auto problem = from_proto(in.key(), info.key);
  info.state = value_or(kBackendStates, in.state(), kUnknownBackendState);
  info.incarnation = in.incarnation();
  info.pid = in.pid();
  info.uid = in.uid();
  for (const auto& [name, value] : in.labels()) info.labels.emplace(name, value);
  if (in.has_ack_timeout_ms()) info.ack_timeout = milliseconds(in.ack_timeout_ms());
  if (in.has_idle_timeout_ms()) info.idle_timeout = milliseconds(in.idle_timeout_ms());
  info.sdk_name = in.sdk_name();
  info.sdk_version = in.sdk_version();
  info.since_unix_ms = in.since_unix_ms();
  info.gone_because = in.gone_because();
  info.open_operations = in.open_operations();
  info.gid = in.gid();
  info.exe = in.exe();
  info.exe_problem = in.exe_problem();
  info.process_started_unix_ms = in.process_started_unix_ms();
  info.cause = value_or(kCauses, in.cause(), Cause::kNone);
  if (in.quiesced_unix_ms() != 0) {
    QuiescedState& quiesced = info.quiesced.emplace();
    quiesced.since_unix_ms = in.quiesced_unix_ms();
    quiesced.broadcast = in.quiesced_by_broadcast();
    if (in.has_quiesced_by()) quiesced.by = operator_of(in.quiesced_by());
    quiesced.reason = value_or(kQuiesceReasons, in.quiesced_reason(), QuiesceReason::kMaintenance);
  }
  info.can_resume = !in.cannot_resume();
  return problem;
}

void to_proto(const std::vector<BackendInfo>& backends, v1::BackendList& out) {
  for (const auto& info : backends) to_proto(info, *out.add_backends());
}

std::string from_proto(const v1::BackendList& in, std::vector<BackendInfo>& backends) {
  for (const auto& info : in.backends()) {
    auto problem = from_proto(info, backends.emplace_back());
    if (!problem.empty()) return problem;
  }
  return {};
}

void to_proto(const DryRun& dry_run, v1::DryRun& out) {
  for (const auto& key : dry_run.would_ask) to_proto(key, *out.add_would_ask());
  for (const auto& key : dry_run.skipped_dead) to_proto(key, *out.add_skipped_dead());
  if (dry_run.joins) out.set_joins(*dry_run.joins);
  for (const auto& outcome : dry_run.would_fail) {
    MessageWriter bytes;
    write(outcome, bytes);
    (void)parse(*out.add_would_fail(), bytes.view());
  }
  for (const auto& key : dry_run.reconnecting) to_proto(key, *out.add_reconnecting());
  out.set_backends_unknown(dry_run.backends_unknown);
}

std::string from_proto(const v1::DryRun& in, DryRun& dry_run) {
  for (const auto& key : in.would_ask()) {
    auto problem = from_proto(key, dry_run.would_ask.emplace_back());
    if (!problem.empty()) return problem;
  }
  for (const auto& key : in.skipped_dead()) {
    auto problem = from_proto(key, dry_run.skipped_dead.emplace_back());
    if (!problem.empty()) return problem;
  }
  if (in.has_joins()) dry_run.joins = in.joins();
  for (const auto& outcome : in.would_fail()) {
    auto problem = from_proto(outcome, dry_run.would_fail.emplace_back());
    if (!problem.empty()) return problem;
  }
  for (const auto& key : in.reconnecting()) {
    auto problem = from_proto(key, dry_run.reconnecting.emplace_back());
    if (!problem.empty()) return problem;
  }
  dry_run.backends_unknown = in.backends_unknown();
  return {};
}

void to_proto(const ControlError& error, v1::ControlError& out) {
  out.set_code(proto_of(kCodes, error.code));
  out.set_message(to_utf8(error.message));
}

std::string from_proto(const v1::ControlError& in, ControlError& error) {
  error.message = in.message();
  // It is a refusal, whatever a newer broker calls it.
  error.code = value_or(kCodes, in.code(), Code::kInvalid);
  return {};
}

void to_proto(const BrokerStatus& status, v1::Status& out) {
  out.set_version(to_utf8(status.version));
  out.set_pid(status.pid);
  out.set_started_unix_ms(status.started_unix_ms);
  out.set_shutting_down(status.shutting_down);
  out.set_socket_dir(to_utf8(status.socket_dir));
  out.set_transport(to_utf8(status.transport));
  out.set_connections(status.connections);
  out.set_live_backends(status.live_backends);
  out.set_dead_backends(status.dead_backends);
  for (const BroadcastId id : status.running_broadcasts) out.add_running_broadcasts(id);
  out.set_reports_kept(status.reports_kept);
  put_counters(status.counters, *out.mutable_counters());
  for (const UserUsage& user : status.users) put_user(user, *out.add_users());
  auto& descriptors = *out.mutable_descriptors();
  descriptors.set_used(status.descriptors.used);
  descriptors.set_limit(status.descriptors.limit);
  descriptors.set_reserve(status.descriptors.reserve);
  descriptors.set_exhausted(status.descriptors.exhausted);
  out.set_uptime_ms(static_cast<std::uint64_t>(std::max<std::int64_t>(status.uptime.count(), 0)));
  out.set_reconnecting_backends(status.reconnecting_backends);
  out.set_lost_backends(status.lost_backends);
  out.set_quiesced_backends(status.quiesced_backends);
  for (const std::string& problem : status.problems) out.add_problems(to_utf8(problem));
}

void from_proto(const v1::Status& in, BrokerStatus& status) {
  status.version = in.version();
  status.pid = in.pid();
  status.started_unix_ms = in.started_unix_ms();
  status.shutting_down = in.shutting_down();
  status.socket_dir = in.socket_dir();
  status.transport = in.transport();
  status.connections = in.connections();
  status.live_backends = in.live_backends();
  status.dead_backends = in.dead_backends();
  status.running_broadcasts.assign(in.running_broadcasts().begin(), in.running_broadcasts().end());
  status.reports_kept = in.reports_kept();
  take_counters(in.counters(), status.counters);
  for (const auto& user : in.users()) status.users.push_back(user_of(user));
  status.descriptors = {in.descriptors().used(), in.descriptors().limit(),
                        in.descriptors().reserve(), in.descriptors().exhausted()};
  constexpr std::uint64_t kMostMs = 1ULL << 53;  // longer than any broker runs
  status.uptime = std::chrono::milliseconds(std::min(in.uptime_ms(), kMostMs));
  status.reconnecting_backends = in.reconnecting_backends();
  status.lost_backends = in.lost_backends();
  status.quiesced_backends = in.quiesced_backends();
  status.problems.assign(in.problems().begin(), in.problems().end());
}

void to_proto(const PolicyExplanation& explanation, v1::PolicyExplanation& out) {
  out.set_allowed(explanation.allowed());
  for (const PolicyStep& step : explanation.steps) {
    auto& message = *out.add_steps();
    message.set_question(to_utf8(step.question));
    message.set_allowed(step.allowed);
    message.set_rule(to_utf8(step.rule));
    message.set_file(to_utf8(step.file));
    message.set_line(step.line);
  }
}

void from_proto(const v1::PolicyExplanation& in, PolicyExplanation& explanation) {
  for (const auto& message : in.steps()) {
    explanation.steps.push_back(
        {message.question(), message.allowed(), message.rule(), message.file(), message.line()});
  }
}

}  // namespace muster::wire
