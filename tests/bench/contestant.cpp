#include "bench/contestant.h"

#include <algorithm>
#include <chrono>

#include "bench/measure.h"

namespace muster::bench {
namespace {

constexpr std::size_t kOperatorRounds = 5;

}  // namespace

Contestant::Contestant(const SubjectSpec& spec, Mode mode, std::size_t count, std::size_t rounds)
    : count_(count), rounds_(rounds), subject_(spec.start(directory_.path())) {
  const std::size_t before = own_bytes(subject_->pid());
  clients_ = std::make_unique<Clients>(subject_->socket(), subject_->protocol(), mode, count);
  subject_->wait_for_clients(count);
  const std::size_t after = own_bytes(subject_->pid());
  idle_bytes_ =
      (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(count);
  // Everybody pays for the first rounds' cold caches and first allocations before anything counts.
  run_rounds(std::max<std::size_t>(rounds_ / 4, 3));
  [[maybe_unused]] const RoundTimes cold = subject_->take_times(count_);
}

void Contestant::run_rounds(std::size_t rounds) {
  for (std::size_t i = 0; i < rounds; ++i) {
    clients_->board().expect(count_);
    subject_->start_round();
    clients_->board().wait();
    // The answers are sent, not all are read. What is asked now would get mixed up with them.
    wait_until_idle(subject_->pid());
    subject_->take_acceptance();
  }
}

void Contestant::take_turn() {
  const auto cpu_before = cpu_time(subject_->pid());
  run_rounds(rounds_);
  const std::chrono::duration<double, std::micro> cpu = cpu_time(subject_->pid()) - cpu_before;
  const RoundTimes times = subject_->take_times(count_);
  lost_answers_ += times.lost_answers;
  rounds_ms_.insert(rounds_ms_.end(), times.milliseconds.begin(), times.milliseconds.end());
  turns_.push_back(
      {median(times.milliseconds), cpu.count() / static_cast<double>(rounds_ * count_)});
}

void Contestant::take_operator_rounds() {
  for (std::size_t i = 0; i < kOperatorRounds; ++i) {
    clients_->board().expect(count_);
    operator_ms_.push_back(subject_->operator_round(count_));
    clients_->board().wait();
    wait_until_idle(subject_->pid());
  }
}

double Contestant::registrations() const {
  const double seconds = std::chrono::duration<double>(clients_->registration_time()).count();
  return seconds > 0 ? static_cast<double>(count_) / seconds : 0;
}

double Contestant::lost_share() const {
  const std::size_t asked = rounds_ms_.size() * count_;
  return asked == 0 ? 0 : static_cast<double>(lost_answers_) / static_cast<double>(asked);
}

}  // namespace muster::bench
