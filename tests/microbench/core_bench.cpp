// The core alone, with a shell that does nothing: what a broadcast, an answer and a registration
// cost when 10,000 backends are registered.
#include <string>
#include <variant>

#include <benchmark/benchmark.h>

#include "core/broker.h"
#include "core/deadlines.h"
#include "core/registry.h"

namespace muster::core {
namespace {

constexpr std::uint32_t kBackends = 10'000;

struct Idle final : Shell {
  BroadcastId next_broadcast_id() override { return ++last_id; }
  void send(ConnectionId /*connection*/, const OutgoingOperation& /*operation*/) override {}
  void send(ConnectionId /*connection*/, std::uint64_t /*request_id*/,
            const Notice& /*notice*/) override {}
  void refuse(ConnectionId /*connection*/, std::uint64_t /*request_id*/, const Refusal& /*refusal*/,
              bool /*answers_a_request*/) override {}
  void hang_up(ConnectionId /*connection*/) override {}
  void release(ConnectionId /*connection*/) override {}
  void arm(DeadlineId /*id*/, SteadyTime /*at*/) override {}
  void cancel(DeadlineId /*id*/) override {}
  bool wants_every_outcome() const noexcept override { return false; }
  void report(const Event& /*event*/) override {}
  void ended(BroadcastId /*broadcast*/) noexcept override {}
  void scan(const ScanOrder& /*order*/) override {}
  void drained() override {}

  BroadcastId last_id = 0;
};

Registration registration(std::uint32_t number) {
  Registration registration;
  registration.key = {Instance::shared(), "zccache", "1.4.2", std::to_string(number)};
  return registration;
}

// So that rounds use the memory of earlier ones.
Config few_reports() {
  Config config;
  config.max_reports = 4;
  return config;
}

// A broker with 10,000 backends; the connection of backend i has slot i.
struct Full {
  Full() {
    for (std::uint32_t i = 0; i < kBackends; ++i) join(i, registration(i));
  }
  void join(std::uint32_t slot, Registration who) {
    broker.connection_opened({slot, 1}, {{4711, 1}, 1000, 1000}, now);
    broker.registration({slot, 1}, 1, std::move(who), now);
  }
  BroadcastId start() {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles("/var/cache/zccache");
    return std::get<Started>(broker.start_broadcast(std::move(request), now)).id;
  }

  Idle shell;
  Now now{SteadyTime{} + std::chrono::hours(1), 1'700'000'000'000};
  Broker broker{few_reports(), shell};
};

void start_and_settle(benchmark::State& state) {
  Full full;
  for (auto _ : state) {
    const BroadcastId id = full.start();
    for (std::uint32_t i = 0; i < kBackends; ++i) full.broker.acked({i, 1}, id, {}, full.now);
  }
  state.SetItemsProcessed(state.iterations() * kBackends);
}
BENCHMARK(start_and_settle)->Unit(benchmark::kMicrosecond);

// The newest of 100 broadcasts is answered first: the longest search among what a backend owes.
void settle_the_newest_of_100(benchmark::State& state) {
  constexpr int kInFlight = 100;
  Full full;
  for (int i = 1; i < kInFlight; ++i) full.start();
  for (auto _ : state) {
    const BroadcastId id = full.start();
    for (std::uint32_t i = 0; i < kBackends; ++i) full.broker.acked({i, 1}, id, {}, full.now);
  }
  state.SetItemsProcessed(state.iterations() * kBackends);
}
BENCHMARK(settle_the_newest_of_100)->Unit(benchmark::kMicrosecond);

void report_of_10000(benchmark::State& state) {
  Full full;
  const BroadcastId id = full.start();
  for (auto _ : state) benchmark::DoNotOptimize(full.broker.report(id, full.now));
}
BENCHMARK(report_of_10000)->Unit(benchmark::kMicrosecond);

void register_and_deregister_at_10000(benchmark::State& state) {
  Full full;
  for (auto _ : state) {
    full.join(kBackends, registration(kBackends));
    full.broker.deregister({kBackends, 1}, 2, full.now);
  }
}
BENCHMARK(register_and_deregister_at_10000);

void find_a_key_among_10000(benchmark::State& state) {
  Registry registry;
  for (std::uint32_t i = 0; i < kBackends; ++i) {
    Enrolment enrolment;
    enrolment.registration = registration(i);
    registry.put(std::move(enrolment));
  }
  const BackendKey key = registration(kBackends / 2).key;
  for (auto _ : state) benchmark::DoNotOptimize(registry.find(key));
}
BENCHMARK(find_a_key_among_10000);

void number_a_deadline(benchmark::State& state) {
  Deadlines deadlines;
  for (auto _ : state) {
    Deadline deadline;
    deadline.kind = Deadline::Kind::kIdle;
    const DeadlineId id = deadlines.add(deadline);
    benchmark::DoNotOptimize(deadlines.find(id));
    deadlines.remove(id);
  }
}
BENCHMARK(number_a_deadline);

}  // namespace
}  // namespace muster::core
