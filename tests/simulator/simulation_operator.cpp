// What operators do.
#include <algorithm>

#include "simulator/agree.h"
#include "simulator/simulation.h"
#include "simulator/universe.h"

namespace muster::simulator {
bool Simulation::start(const Step& step) {
  shell_.at_least_id(static_cast<BroadcastId>(step.args[0]));
  BroadcastRequest request;
  request.operation = operation_of(step.args[1]).asked;
  request.ack_timeout = optional_ms(step.args[2]);
  request.selection = selection_of(step.args[3]);
  request.operation_key = operation_key_of(step.args[4]);
  std::optional<Operator> by;
  if (step.args[5] != 0) {
    by = Operator{uid_of(step.args[5] - 1), static_cast<pid_t>(900 + step.args[5]), "tool"};
  }
  if (step.args[6] > 0) request.deadline = milliseconds(step.args[6]);
  if (step.args[7] > 0) {
    request.verify = true;
    request.verify_wait = milliseconds(step.args[7] - 1);
    request.mount_namespace = static_cast<std::uint64_t>(4'026'531'840 + step.args[1]);
  }
  if (step.args[8] > 0) {
    auto& hold = request.hold.emplace();
    hold.leased = step.args[8] == 1;
    if (step.args[9] != 0) hold.ttl = milliseconds(std::max<std::int64_t>(step.args[9], 0));
  }
  check_skipped();
  Oracle::Wish wish{step.args[1],
                    request.ack_timeout,
                    step.args[3],
                    step.args[4],
                    by,
                    request.deadline,
                    request.verify,
                    request.verify_wait,
                    request.mount_namespace,
                    request.hold};
  const auto should = oracle_->start(shell_.next_id(), std::move(wish), at());
  call([&] {
    if (is_wrong(WrongTransition::kDeadlineIsIgnored)) request.deadline.reset();
    if (is_wrong(WrongTransition::kUserIsIgnored)) by.reset();
    const auto* refused = std::get_if<ControlError::Code>(&should);
    const bool joins = refused != nullptr && *refused == ControlError::Code::kKeyConflict &&
                       is_wrong(WrongTransition::kPreflightJoins);
    const bool holds = request.hold && is_wrong(WrongTransition::kPreflightHolds);
    if (request.operation.is_preflight() && (joins || holds)) {
      request.operation = request.operation.real();
    }
    if (is_wrong(WrongTransition::kTimeIsLonger) && request.hold && request.hold->ttl) {
      *request.hold->ttl += milliseconds(1);
    }
    const auto is = broker_->start_broadcast(std::move(request), at(), by);
    must_agree("start", is, should, [](const core::Started& a, const core::Started& b) {
      must(a.id == b.id && a.targets == b.targets && a.skipped_dead == b.skipped_dead &&
               a.joined == b.joined && a.backends_unknown == b.backends_unknown,
           "start: not what was started");
    });
  });
  return true;
}

bool Simulation::dry_run(const Step& step) {
  BroadcastRequest request;
  request.operation = operation_of(step.args[0]).asked;
  request.selection = selection_of(step.args[1]);
  const auto should = oracle_->dry_run(step.args[0], step.args[1]);
  call([&] {
    must_agree("dry run", broker_->dry_run(request, at()), should,
               [](const DryRun& a, const DryRun& b) {
                 must(a == b, "dry run: not who would be asked, or what of the others");
               });
  });
  return true;
}

bool Simulation::cancel(const Step& step) {
  const auto id = static_cast<BroadcastId>(step.args[0]);
  const auto should = oracle_->cancel(id, at());
  call([&] {
    if (is_wrong(WrongTransition::kCancelIsIgnored)) return;
    must_agree("cancel", broker_->cancel_broadcast(id, at()), should,
               [](std::uint32_t a, std::uint32_t b) {
                 must(a == b, "cancel: not as many targets were open");
               });
  });
  return true;
}

bool Simulation::report(BroadcastId id) {
  call([&] { check_report(id); });
  return true;
}

bool Simulation::list(std::int64_t selection) {
  call([&] {
    const auto is = broker_->backends(selection_of(selection));
    const auto should = oracle_->list(selection);
    if (is != should) {
      throw Violation("the backends are\n" + show(is) + "  and should be\n" + show(should));
    }
    check_status();
    check_hold_infos();
  });
  return true;
}

bool Simulation::resume(const Step& step) {
  const auto id = static_cast<BroadcastId>(step.args[0]);
  const auto should = oracle_->resume(id, step.args[1], at());
  call([&] {
    if (is_wrong(WrongTransition::kResumeIsIgnored)) return;
    const auto is = broker_->resume(id, selection_of(step.args[1]), at());
    must(is == should, "resume: not as many were resumed");
  });
  return true;
}

bool Simulation::forget(std::uint32_t key) {
  const auto should = oracle_->forget(key, at());
  call([&] {
    const auto is = broker_->forget(key_of(key), at());
    must(is.has_value() == should.has_value() && (!is || is->code == *should),
         "forget: not what it should come to");
  });
  return true;
}

bool Simulation::forget_missed() {
  const bool should = oracle_->forget_missed();
  call([&] { must(broker_->forget_refused() == should, "forget: somebody was not listed"); });
  return true;
}

bool Simulation::forget_unseen() {
  const bool should = oracle_->forget_unseen(at());
  call([&] {
    if (is_wrong(WrongTransition::kForgetUnseenIsIgnored)) return;
    must(broker_->forget_unseen(at()) == should, "forget: somebody could not be seen");
  });
  return true;
}

bool Simulation::shut_down(bool restart) {
  oracle_->shut_down(shell_.next_id(), restart, at());
  call([&] { broker_->shut_down(at(), !restart); });
  return true;
}

}  // namespace muster::simulator
