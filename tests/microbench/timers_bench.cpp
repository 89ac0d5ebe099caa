// Timers: arming and cancelling one for each of 10,000 targets, as a round does, and what the same
// costs with Asio's timers as they are.
#include <chrono>
#include <cstdint>
#include <deque>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <benchmark/benchmark.h>

#include "broker/deadline_timers.h"

namespace muster::broker {
namespace {

constexpr std::uint32_t kTimers = 10'000;

struct Nobody final : DeadlineTimers::Events {
  void before_deadlines() override {}
  void deadline_passed(core::DeadlineId /*id*/) override {}
};

core::SteadyTime in_an_hour() { return std::chrono::steady_clock::now() + std::chrono::hours(1); }

void arm_and_cancel(benchmark::State& state) {
  asio::io_context context(1);
  Nobody nobody;
  DeadlineTimers timers(context, nobody);
  std::uint32_t generation = 0;
  for (auto _ : state) {
    ++generation;
    const auto at = in_an_hour();
    for (std::uint32_t i = 0; i < kTimers; ++i) timers.arm({i, generation}, at);
    for (std::uint32_t i = 0; i < kTimers; ++i) timers.cancel({i, generation});
    context.poll();
  }
  timers.stop();
  state.SetItemsProcessed(state.iterations() * kTimers);
}
BENCHMARK(arm_and_cancel)->Unit(benchmark::kMicrosecond);

// Each round is due earlier than what its timers wait for: the most that a round can cost.
void arm_earlier_and_cancel(benchmark::State& state) {
  asio::io_context context(1);
  Nobody nobody;
  DeadlineTimers timers(context, nobody);
  std::uint32_t generation = 0;
  auto at = in_an_hour();
  for (auto _ : state) {
    ++generation;
    at -= std::chrono::microseconds(1);
    for (std::uint32_t i = 0; i < kTimers; ++i) timers.arm({i, generation}, at);
    for (std::uint32_t i = 0; i < kTimers; ++i) timers.cancel({i, generation});
    context.poll();
  }
  timers.stop();
  state.SetItemsProcessed(state.iterations() * kTimers);
}
BENCHMARK(arm_earlier_and_cancel)->Unit(benchmark::kMicrosecond);

void asio_steady_timers(benchmark::State& state) {
  asio::io_context context(1);
  std::deque<asio::steady_timer> timers;
  for (std::uint32_t i = 0; i < kTimers; ++i) timers.emplace_back(context);
  for (auto _ : state) {
    const auto at = in_an_hour();
    for (asio::steady_timer& timer : timers) {
      timer.expires_at(at);
      timer.async_wait([](const std::error_code&) {});
    }
    for (asio::steady_timer& timer : timers) timer.cancel();
    context.restart();
    context.poll();
  }
  state.SetItemsProcessed(state.iterations() * kTimers);
}
BENCHMARK(asio_steady_timers)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace muster::broker
