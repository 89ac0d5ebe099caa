// Lists of backends, dry runs, errors.
#include "wire/convert.h"
#include "wire/enums.h"
#include "wire/report_enums.h"
#include "wire/text.h"

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

}  // namespace muster::wire
