#include "model/counter_table.h"

#include <array>

namespace muster {
namespace {

using C = Counters;

// Each counts up from the start of the broker.
constexpr auto kCounters = std::to_array<CounterRow>({
    {"connections_accepted", 1, &C::connections_accepted, "connections", "peers", "accepted", false,
     "Connections of backends that were accepted."},
    {"registrations", 2, &C::registrations, "registrations", "peers", "registered", false,
     "Registrations that were accepted, reconnects included."},
    {"refusals", 3, &C::refusals, "registrations", "peers", "refused", false,
     "Backends that were refused, or disconnected with a reason."},
    {"protocol_errors", 4, &C::protocol_errors, "connections", "peers", "protocol error", true,
     "Connections of backends that were closed because they broke the protocol."},
    {"broadcasts_started", 5, &C::broadcasts_started, "broadcasts", "broadcasts", "started", false,
     "Broadcasts that were started."},
    {"broadcasts_finished", 6, &C::broadcasts_finished, "broadcasts", "broadcasts", "finished",
     false, "Broadcasts whose outcomes are all in."},
    {"operations_sent", 7, &C::operations_sent, "operations", "operations", "sent", false,
     "Operations that were sent to a backend."},
    {"redeliveries", 8, &C::redeliveries, "operations", "operations",
     "sent again after a reconnect", false,
     "Operations that were sent again to a backend that reconnected."},
    {"acks", 9, &C::acks, "outcomes", "outcomes", "acked", false, "Outcomes that are an ack."},
    {"timeouts", 10, &C::timeouts, "outcomes", "outcomes", "timed out", false,
     "Outcomes that are a timeout."},
    {"failures", 11, &C::failures, "outcomes", "outcomes", "failed", false,
     "Outcomes that are a failure."},
    {"skipped_dead", 12, &C::skipped_dead, "outcomes", "operations", "not sent (dead)", false,
     "Backends that were not asked because their process had exited."},
    {"late_answers", 13, &C::late_answers, "answers", "late answers", "late", false,
     "Answers that came after the backend's outcome was a timeout."},
    {"duplicate_answers", 14, &C::duplicate_answers, "answers", "late answers", "twice", false,
     "Answers to an operation that the backend had answered before."},
    {"unmatched_answers", 15, &C::unmatched_answers, "answers", "late answers",
     "for unknown broadcasts", false, "Answers to a broadcast that the broker does not know."},
    {"slow_readers", 16, &C::slow_readers, "connections", "peers", "slow reader", true,
     "Connections that were closed because the backend did not read."},
    {"over_quota", 17, &C::over_quota, "requests", "peers", "over a quota", false,
     "Connections, registrations and broadcasts that were refused, and connections that were "
     "closed, because of their user's quota."},
    {"task_failures", 18, &C::task_failures, "tasks", "tasks", "failed and were started again",
     false, "Tasks of the broker that failed and were started again."},
});

static_assert(sizeof(Counters) == kCounters.size() * sizeof(std::uint64_t),
              "each member of Counters has a row");

constexpr bool fields_ascend() {
  for (std::size_t i = 1; i < kCounters.size(); ++i) {
    if (kCounters[i - 1].field >= kCounters[i].field) return false;
  }
  return true;
}
static_assert(fields_ascend(), "rows stand in the order of their fields");

}  // namespace

std::span<const CounterRow> all_counters() noexcept { return kCounters; }

}  // namespace muster
