// The life of one musterd, and what it must be like at its end.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <sys/wait.h>

#include "bench/measure.h"
#include "os/peer.h"
#include "soak/soak.h"

namespace muster::soak {
namespace {

constexpr std::chrono::seconds kPatience{60};

// Of some 6 MiB, 10 % are less than what an allocator's free lists may come to. A leak does not
// stop here.
constexpr std::size_t kSlackBytes = 1024U * 1024U;

}  // namespace

void Soak::start_broker() {
  client_.reset();
  musterd_.reset();
  // A broker with a roster expects its backends in the order in which the last one had them; the
  // soak has everybody register anew.
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path())) {
    if (file.path().filename() == "roster") std::filesystem::remove(file.path());
  }
  musterd_.emplace(bench::MusterdCommand{options_.musterd, options_.musterd_arguments},
                   directory_.path());
  client_.emplace(directory_.path(), kPatience);
  sums_ = {};
  members_.broker_restarted();
}

void Soak::live(Clock::time_point until) {
  // Warm: everything happened once, as many reports are kept as ever will be.
  dying();
  last_words();
  cancelling();
  stopped();
  everybody();
  flood();
  constexpr std::uint64_t kOutcomes = 2 * kReportTargets;
  while (sums_.acks + sums_.timeouts + sums_.failures + sums_.skipped_dead < kOutcomes) round();
  settle();
  const auto base = footprint();
  do round();
  while (Clock::now() < until);
  settle();
  check_counters();
  compare(base);
}

// Everybody is there, nobody else, nothing is open, and the reports that are kept are of the same
// broadcasts each time: what a report holds depends on who was asked.
void Soak::settle() {
  look_at_sleepers();
  stray_.leave();
  join_all();
  Question question;
  question.selected.kind = Kind::kAwake;
  std::vector<Open> open;
  const auto asked = members_.asked(question.selected).size();
  for (std::size_t targets = 0; targets < kReportTargets; targets += asked) {
    open.push_back(
        ask(question, [this](BroadcastId id, std::uint32_t key) { return usual(id, key); }));
    if (open.size() == 16) look_at_all(open);
  }
  look_at_all(open);
}

Soak::Footprint Soak::footprint() {
  (void)client_->ping();
  bench::wait_until_idle(musterd_->pid());
  return {descriptors_of(musterd_->pid()), bench::own_bytes(musterd_->pid())};
}

void Soak::compare(const Footprint& base) {
  auto now = footprint();
  // What was closed just now may take a moment.
  const auto patience = Clock::now() + kPatience;
  while (now.descriptors != base.descriptors && Clock::now() < patience) now = footprint();
  if (now.descriptors != base.descriptors) {
    throw std::runtime_error("musterd had " + std::to_string(base.descriptors) +
                             " descriptors when it was warm and has " +
                             std::to_string(now.descriptors));
  }
  const auto most = static_cast<double>(base.bytes) * (1 + options_.growth_percent / 100);
  if (static_cast<double>(now.bytes) > most + kSlackBytes) {
    throw std::runtime_error("musterd held " + std::to_string(base.bytes) +
                             " bytes when it was warm and holds " + std::to_string(now.bytes) +
                             ", more than " + std::to_string(options_.growth_percent) + " % more");
  }
}

void Soak::check_counters() {
  const auto status = client_->status();
  const auto& counters = status.counters;
  const auto same = [](std::string_view what, std::uint64_t is, std::uint64_t should_be) {
    if (is == should_be) return;
    throw std::runtime_error("musterd counted " + std::to_string(is) + ' ' + std::string(what) +
                             ", and there were " + std::to_string(should_be));
  };
  same("broadcasts that started", counters.broadcasts_started, sums_.broadcasts_started);
  same("broadcasts that finished", counters.broadcasts_finished, sums_.broadcasts_started);
  same("acks", counters.acks, sums_.acks);
  same("timeouts", counters.timeouts, sums_.timeouts);
  same("failures", counters.failures, sums_.failures);
  same("dead that were skipped", counters.skipped_dead, sums_.skipped_dead);
  same("slow readers", counters.slow_readers, sums_.slow_readers);
  same("live backends", status.live_backends, members_.live());
  same("running broadcasts", status.running_broadcasts.size(), 0);
}

// In the middle of broadcasts, with SIGKILL.
void Soak::end_killed() {
  std::vector<BroadcastId> interrupted;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) silence(slot, true);
  for (auto left = 1 + rng_.below(5); left > 0; --left) {
    const auto open = ask(question_to(Kind::kAwake), [](BroadcastId, std::uint32_t) {
      return BroadcastBackendResponse::ack();
    });
    if (!open.expected.acks.empty()) interrupted.push_back(open.id);
  }
  start_broker();  // kills the one that is there
  for (const auto id : interrupted) {
    try {
      // The history may have its beginning.
      if (client_->report(id).interrupted) continue;
      throw std::runtime_error("broadcast " + std::to_string(id) +
                               " has a report that does not say \"interrupted\", and the broker "
                               "that ran it was killed");
    } catch (const ControlFailure& failure) {
      if (failure.error().code == ControlError::Code::kInterrupted) continue;
      throw std::runtime_error("broadcast " + std::to_string(id) + " was interrupted, and its " +
                               "report is refused as: " + failure.error().message);
    }
  }
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) silence(slot, false);
}

// With SIGTERM: it drains, and exits with 0.
void Soak::end_told() {
  look_at_sleepers();
  std::error_code error;
  const auto pid = musterd_->pid();
  const auto pidfd = os::pidfd_of_pid(pid, error);
  pollfd exited{pidfd.get(), POLLIN, 0};
  const auto patience = std::chrono::milliseconds(kPatience).count();
  ::kill(pid, SIGTERM);
  if (::poll(&exited, 1, static_cast<int>(patience)) != 1) {
    throw std::runtime_error("musterd does not end after SIGTERM");
  }
  siginfo_t end{};
  ::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT);
  if (end.si_code == CLD_EXITED && end.si_status == 0) return;
  throw std::runtime_error("musterd ended with " + std::to_string(end.si_status) +
                           " after SIGTERM; it wrote:\n" +
                           bench::text_of(directory_.path() / "log"));
}

}  // namespace muster::soak
