// The oracle: which reports are kept, and what each user is charged for them.
#include <algorithm>
#include <set>

#include "core/report_bytes.h"
#include "simulator/forms.h"
#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

constexpr uid_t kBroker = static_cast<uid_t>(-1);

uid_t owner_of(const Oracle::Cast& cast) { return cast.charged.value_or(kBroker); }

std::size_t enrolment_bytes(const Oracle::Backend& backend) {
  core::Enrolment enrolment;
  enrolment.registration = registration_of(backend.form, backend.key);
  return core::bytes_of(enrolment);
}

}  // namespace

std::size_t Oracle::size_of(const Cast& cast) const {
  BroadcastRequest request;
  request.operation = cast.operation;
  request.selection = selection_of(cast.selection);
  request.operation_key = cast.operation_key;
  std::size_t bytes = core::kReportBytes + core::bytes_of(request) + cast.enrolment_bytes;
  if (cast.verify) bytes += core::bytes_of(cast.verification.value_or(Verification()));
  if (cast.hold_ended) bytes += core::bytes_of(*cast.hold_ended);
  for (const auto& asked : cast.asked) {
    const bool skipped = asked.outcome == OutcomeKind::kSkippedDead;
    bytes += skipped ? core::kSkippedBytes : core::kTargetBytes;
    if (!asked.has_text) continue;
    bytes += core::kTextBytes + core::text_bytes(asked.said) + core::text_bytes(asked.note);
  }
  for (const auto* late : {&cast.late_acks, &cast.late_failures}) {
    for (const auto& answer : *late) bytes += core::kLateBytes + core::text_bytes(answer.detail);
  }
  return bytes;
}

// Rule: what a backend registered with is charged to the newest report of each user that names it:
// it takes over from a report of that user that has ended.
void Oracle::charge_enrolment(Cast& cast, Backend& backend) {
  const auto bytes = enrolment_bytes(backend);
  const auto before = casts_.find(backend.charged_to);
  if (before != casts_.end() && is_kept(before->first) && !before->second.forgotten &&
      before->second.charged == cast.charged && before->second.own == cast.own) {
    before->second.enrolment_bytes -= bytes;
  }
  cast.enrolment_bytes += bytes;
  backend.charged_to = cast.id;
}

Oracle::Reports Oracle::reports_of(const Reports& kept, uid_t uid) const {
  Reports reports;
  for (const auto id : kept) {
    if (owner_of(casts_.at(id)) == uid) reports.push_back(id);
  }
  return reports;
}

std::size_t Oracle::report_bytes_of(uid_t uid) const {
  std::size_t bytes = 0;
  for (const auto* kept : {&kept_, &own_kept_}) {
    for (const auto id : reports_of(*kept, uid)) bytes += size_of(casts_.at(id));
  }
  return bytes;
}

std::size_t Oracle::report_quota(uid_t uid) const {
  const auto more = uid == uid_of(0) ? knobs_.more : 0;
  return static_cast<std::size_t>(knobs_.report_bytes_each + more);
}

std::size_t Oracle::running_bytes_of(uid_t uid) const {
  std::size_t bytes = 0;
  for (const auto& [id, cast] : casts_) {
    if (!cast.own && !muster::is_over(cast.state) && cast.charged == uid) bytes += size_of(cast);
  }
  return bytes;
}

void Oracle::drop_report(Reports& kept, BroadcastId id) {
  casts_.at(id).forgotten = true;
  latest_.erase(id);
  std::erase(kept, id);
}

// Rule: a report stays while the hold goes on that is shown by it. The oldest of the others.
const Oracle::Cast* Oracle::first_to_go(const Reports& reports) {
  for (const auto id : reports) {
    if (!is_pinned(id)) return &casts_.at(id);
    cases_.saw(Case::kHoldPinned);
  }
  return nullptr;
}

// Rule: over a user's quota its own oldest reports go, those of idle quiesces first; the newest
// stays.
void Oracle::trim_user(uid_t uid, Now now) {
  const auto age = milliseconds(std::max<std::int64_t>(knobs_.report_age, 1000));
  const std::size_t quota = report_quota(uid);
  for (auto* kept : {&own_kept_, &kept_}) {
    for (;;) {
      const auto reports = reports_of(*kept, uid);
      const auto* oldest = first_to_go(reports);
      if (oldest == nullptr) break;
      const bool too_large = oldest->id != reports.back() && report_bytes_of(uid) > quota;
      const bool too_old = oldest->ended + age <= now.steady;
      if (!too_large && !too_old) break;
      if (too_large) cases_.saw(Case::kReportOfUserDropped);
      drop_report(*kept, oldest->id);
    }
  }
}

// Rule: over what the broker keeps in all, the user with the most loses its oldest report. Root and
// the broker's own user do so last while they have at most a quarter. The newest of all stays.
template <class Measure>
void Oracle::trim_reports(Reports& kept, std::size_t most, Measure measure) {
  for (;;) {
    std::map<uid_t, std::size_t> has;
    std::size_t sum = 0;
    for (const auto id : kept) {
      const auto& cast = casts_.at(id);
      has[owner_of(cast)] += measure(cast);
      sum += measure(cast);
    }
    if (sum <= most) return;
    const Cast* loses = nullptr;
    bool of_loser_is_reserved = false;
    bool was_spared = false;
    for (const auto& [uid, value] : has) {
      const auto* first = first_to_go(reports_of(kept, uid));
      if (first == nullptr || latest_.contains(first->id)) continue;
      const auto& oldest = *first;
      const bool is_reserved = uid == kBroker || (core::is_privileged(uid) && value <= most / 4);
      const auto rank = [&](const Cast& cast, bool reserved, std::size_t of) {
        return std::tuple(reserved, -static_cast<std::int64_t>(of), cast.ended, cast.id);
      };
      if (loses == nullptr || rank(oldest, is_reserved, value) <
                                  rank(*loses, of_loser_is_reserved, has.at(owner_of(*loses)))) {
        loses = &oldest;
        of_loser_is_reserved = is_reserved;
      }
      was_spared = was_spared || is_reserved;
    }
    if (loses == nullptr) return;
    if (has.size() > 1) cases_.saw(Case::kReportOfMostDropped);
    if (was_spared && !of_loser_is_reserved) cases_.saw(Case::kReportReserved);
    drop_report(kept, loses->id);
  }
}

// Reports are bounded in number, in size and in age. Rule: quiesces that the broker starts itself
// have a history of their own.
void Oracle::expire_reports(Now now) {
  constexpr std::size_t kOwnReports = 256;
  std::set<uid_t> users;
  for (const auto* kept : {&kept_, &own_kept_}) {
    for (const auto id : *kept) users.insert(owner_of(casts_.at(id)));
  }
  for (const uid_t uid : users) trim_user(uid, now);
  // Somebody is about to read the report of a broadcast that ends now.
  const auto reports = static_cast<std::size_t>(std::max<std::int64_t>(knobs_.max_reports, 1));
  for (auto* kept : {&kept_, &own_kept_}) {
    trim_reports(*kept, kept == &kept_ ? reports : kOwnReports, [](const Cast&) { return 1U; });
    trim_reports(*kept, static_cast<std::size_t>(knobs_.max_report_targets),
                 [](const Cast& cast) { return cast.asked.size(); });
    trim_reports(*kept, static_cast<std::size_t>(knobs_.max_report_bytes),
                 [&](const Cast& cast) { return size_of(cast); });
  }
}

void Oracle::die(Backend& backend, Cause why, Now now) {
  if (backend.is_refused()) {
    // Rule: a process that was refused and has exited never was a backend: nobody is dead.
    cases_.saw(Case::kRefusedExited);
    release(backend.connection);
    backend.cause = why;
    tell(Event::Kind::kBackendDead, backend);
    const auto serial = backend.serial;
    std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
    return;
  }
  backend.state = BackendState::kDead;
  backend.cause = why;
  backend.holds.clear();
  backend.resumed_away = false;
  backend.since_unix_ms = now.unix_ms;
  backend.died = now.steady;
  backend.death = ++last_death_;
  backend.idle_at.reset();
  release(backend.connection);
  tell(Event::Kind::kBackendDead, backend);
  fail_open(backend.serial, why, now);
  trim_dead(now);
}

// Over the number, the longest dead of a user who has the most goes; then all that are too old.
void Oracle::trim_dead(Now now) {
  for (;;) {
    std::map<uid_t, std::size_t> dead;
    std::size_t sum = 0;
    for (const auto& backend : backends_) {
      if (backend.state != BackendState::kDead) continue;
      ++sum;
      ++dead[backend.peer.uid];
    }
    const auto all = static_cast<std::size_t>(knobs_.max_dead);
    if (sum <= all) break;
    // Rule: root and the broker's own user have a reserve: a quarter.
    const bool others = std::any_of(dead.begin(), dead.end(), [&](const auto& user) {
      return !core::is_privileged(user.first) || user.second > all / 4;
    });
    std::size_t most = 0;
    for (auto& [uid, count] : dead) {
      if (others && core::is_privileged(uid) && count <= all / 4) count = 0;
      most = std::max(most, count);
    }
    const Backend* victim = nullptr;
    for (const auto& backend : backends_) {
      if (backend.state != BackendState::kDead || dead[backend.peer.uid] != most) continue;
      if (victim == nullptr || backend.death < victim->death) victim = &backend;
    }
    const auto serial = victim->serial;
    std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
  }
  std::erase_if(backends_, [&](const Backend& backend) {
    return backend.state == BackendState::kDead &&
           backend.died + milliseconds(knobs_.dead_age) <= now.steady;
  });
}

void Oracle::expire_dead(Now now) { trim_dead(now); }

}  // namespace muster::simulator
