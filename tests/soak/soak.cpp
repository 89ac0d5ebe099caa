#include "soak/soak.h"

#include <algorithm>
#include <fstream>

#include "muster/socket_dir.h"

namespace muster::soak {
namespace {

// Small, so that the bounds are reached. Who is disconnected is lost soon, but not before one that
// comes back at once.
constexpr char kConfiguration[] = R"([log]
level = "warning"

[quota]
broadcasts = 1024

[broker]
max_ack_timeout = "2h"
reconnect_grace = "200ms"
register_timeout = "1m"
send_queue = "16KiB"
report_targets_kept = )";

}  // namespace

Soak::Soak(const Options& options)
    : options_(options),
      rng_(options.seed),
      hosts_(directory_.path() / kBackendSocketName, options.seed),
      stray_(directory_.path()) {
  const auto file = directory_.path() / "musterd.toml";
  std::ofstream(file) << kConfiguration << kReportTargets << '\n';
  options_.musterd_arguments.insert(options_.musterd_arguments.begin(), {"--config", file});
}

void Soak::run() {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(options_.time);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) hosts_.start(slot);
  for (;;) {
    start_broker();
    join_all();
    // A broker's life is a third of the whole at most, and never so short that it is not warm.
    const auto life = std::chrono::milliseconds(rng_.between(10'000, 30'000));
    const auto third = std::chrono::duration_cast<std::chrono::milliseconds>(options_.time / 3);
    const auto until =
        Clock::now() + std::max(std::min(life, third), std::chrono::milliseconds(3'000));
    const bool last = until >= end;
    live(last ? end : until);
    if (last) break;
    if (rng_.chance(50)) {
      end_killed();
    } else {
      end_told();
    }
    ++progress_.restarts;
  }
  progress_.say(musterd_->pid(), stray_.count());
  end_told();
}

void Soak::round() {
  ++rounds_;
  // While their reports are kept: what a round asks is less than the other half.
  while (!sleepers_.empty() && outcomes() - sleepers_.front().before > kReportTargets / 2) {
    look_at(sleepers_.front());
    sleepers_.pop_front();
  }
  change_members();
  if (rng_.chance(30)) stray_.visit(rng_);
  const auto dice = rng_.below(1000);
  if (dice < 5) {
    dying();
  } else if (dice < 10) {
    last_words();
  } else if (dice < 20) {
    cancelling();
  } else if (dice < 23) {
    stopped();
  } else if (dice < 30) {
    everybody();
  } else if (dice < 32) {
    flood();
  } else {
    ordinary();
  }
  progress_.say_now_and_then(musterd_->pid(), stray_.count());
}

}  // namespace muster::soak
