// A broker at rest, with many backends.
#include <algorithm>
#include <memory>
#include <thread>

#include "bench/clients.h"
#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/scenarios.h"
#include "os/descriptor_limit.h"

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
  const std::uint64_t before = context_switches(musterd.pid());
  const auto cpu_before = cpu_time(musterd.pid());
  std::this_thread::sleep_for(std::chrono::seconds(options.idle_seconds));
  const std::chrono::duration<double, std::micro> cpu = cpu_time(musterd.pid()) - cpu_before;
  const std::uint64_t switches = context_switches(musterd.pid()) - before;
  return {kIdle,
          options.subject,
          {{"backends", static_cast<double>(backends)},
           {"seconds", static_cast<double>(options.idle_seconds)},
           {kContextSwitches, static_cast<double>(switches)},
           {"cpu_us", cpu.count()}}};
}

}  // namespace muster::bench
