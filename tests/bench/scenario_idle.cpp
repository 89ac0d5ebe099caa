// A broker at rest, with many backends.
#include <algorithm>
#include <memory>
#include <thread>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "os/process_setup.h"

namespace muster::bench {

ScenarioResult idle(const ScenarioOptions& options) {
  constexpr std::size_t kOtherDescriptors = 128;
  const std::size_t limit = static_cast<std::size_t>(os::raise_descriptor_limit().now);
  const std::size_t backends = std::min(options.idle_backends, limit - kOtherDescriptors);

  const TemporaryDirectory directory;
  const MusterdProcess musterd(options.command, directory.path());
  const Clients clients(musterd.backend_socket(), std::make_unique<MusterProtocol>(),
                        Mode::kOneProcess, backends);
  wait_until_idle(musterd.pid());
  // What registering left behind, a timer that is not needed any more, may still fire: that is not
  // rest yet. It is over when the time to register is (5 s), and is told apart.
  const std::chrono::seconds watched(options.idle_seconds);
  const std::uint64_t at_first = context_switches(musterd.pid());
  std::this_thread::sleep_for(watched + std::chrono::seconds(1));
  const std::uint64_t before = context_switches(musterd.pid());
  const auto cpu_before = cpu_time(musterd.pid());
  std::this_thread::sleep_for(watched);
  const std::chrono::duration<double, std::micro> cpu = cpu_time(musterd.pid()) - cpu_before;
  const std::uint64_t switches = context_switches(musterd.pid()) - before;
  return {kIdle,
          options.subject,
          {{"backends", static_cast<double>(backends)},
           {"seconds", static_cast<double>(options.idle_seconds)},
           {"context_switches_before_that", static_cast<double>(before - at_first)},
           {kContextSwitches, static_cast<double>(switches)},
           {"cpu_us", cpu.count()}}};
}

}  // namespace muster::bench
