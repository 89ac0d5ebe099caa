// The broker's status.
#include <algorithm>
#include <array>

#include "wire/convert.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

void put_counters(const Counters& counters, v1::Counters& out) {
  out.set_connections_accepted(counters.connections_accepted);
  out.set_registrations(counters.registrations);
  out.set_refusals(counters.refusals);
  out.set_protocol_errors(counters.protocol_errors);
  out.set_broadcasts_started(counters.broadcasts_started);
  out.set_broadcasts_finished(counters.broadcasts_finished);
  out.set_operations_sent(counters.operations_sent);
  out.set_redeliveries(counters.redeliveries);
  out.set_acks(counters.acks);
  out.set_timeouts(counters.timeouts);
  out.set_failures(counters.failures);
  out.set_skipped_dead(counters.skipped_dead);
  out.set_late_answers(counters.late_answers);
  out.set_duplicate_answers(counters.duplicate_answers);
  out.set_unmatched_answers(counters.unmatched_answers);
  out.set_slow_readers(counters.slow_readers);
  out.set_over_quota(counters.over_quota);
  out.set_task_failures(counters.task_failures);
}

void take_counters(const v1::Counters& in, Counters& counters) {
  counters.connections_accepted = in.connections_accepted();
  counters.registrations = in.registrations();
  counters.refusals = in.refusals();
  counters.protocol_errors = in.protocol_errors();
  counters.broadcasts_started = in.broadcasts_started();
  counters.broadcasts_finished = in.broadcasts_finished();
  counters.operations_sent = in.operations_sent();
  counters.redeliveries = in.redeliveries();
  counters.acks = in.acks();
  counters.timeouts = in.timeouts();
  counters.failures = in.failures();
  counters.skipped_dead = in.skipped_dead();
  counters.late_answers = in.late_answers();
  counters.duplicate_answers = in.duplicate_answers();
  counters.unmatched_answers = in.unmatched_answers();
  counters.slow_readers = in.slow_readers();
  counters.over_quota = in.over_quota();
  counters.task_failures = in.task_failures();
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

constexpr std::array<UserShare, 7> kUserShares{{
    {&UserUsage::connections, &v1::UserUsage::mutable_connections, &v1::UserUsage::connections},
    {&UserUsage::registrations, &v1::UserUsage::mutable_registrations,
     &v1::UserUsage::registrations},
    {&UserUsage::queued_bytes, &v1::UserUsage::mutable_queued_bytes, &v1::UserUsage::queued_bytes},
    {&UserUsage::broadcasts, &v1::UserUsage::mutable_broadcasts, &v1::UserUsage::broadcasts},
    {&UserUsage::operators, &v1::UserUsage::mutable_operators, &v1::UserUsage::operators},
    {&UserUsage::followers, &v1::UserUsage::mutable_followers, &v1::UserUsage::followers},
    {&UserUsage::answer_bytes, &v1::UserUsage::mutable_answer_bytes, &v1::UserUsage::answer_bytes},
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

}  // namespace muster::wire
