#include "musterctl/waves.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "muster/text.h"

#include "musterctl/exit_status.h"
#include "musterctl/options.h"
#include "musterctl/retry.h"

namespace muster::ctl {

// --- how many

std::string read_amount(const std::string& text, std::uint32_t least, Amount& into) {
  Amount amount;
  const char* const end = text.data() + text.size();
  const auto [read_to, error] = std::from_chars(text.data(), end, amount.number);
  amount.is_percent = read_to + 1 == end && *read_to == '%';
  if (error != std::errc() || !(amount.is_percent || read_to == end)) {
    return quote(text) + " is no number of backends: write 3, or 25% for a share of them";
  }
  if (amount.is_percent && amount.number > 100) {
    return quote(text) + " is more than all: the most is 100%";
  }
  if (amount.number < least) {
    return quote(text) + " is too few: the least is " + std::to_string(least) + " or " +
           std::to_string(least) + '%';
  }
  into = amount;
  return {};
}

std::string shown_amount(const Amount& amount) {
  return std::to_string(amount.number) + (amount.is_percent ? "%" : "");
}

std::size_t wave_size(const Amount& batch, std::size_t targets) {
  if (!batch.is_percent) return batch.number;
  return std::max<std::size_t>(1, (targets * batch.number + 99) / 100);
}

std::size_t failures_allowed(const Amount& most, std::size_t targets) {
  return most.is_percent ? targets * most.number / 100 : most.number;
}

// --- who

namespace {

// As the backend called itself: "~" is the broker's.
BackendKey own_key(BackendKey key) {
  key.replica.resize(std::min(key.replica.size(), key.replica.find('~')));
  return key;
}

WaveTarget target_of(const BackendOutcome& outcome) {
  WaveTarget target;
  target.key = outcome.key;
  target.incarnation = outcome.incarnation;
  target.pid = outcome.pid;
  target.uid = outcome.uid;
  target.state = BackendState::kLost;
  target.cause = outcome.cause;
  return target;
}

// A process and its connection. The broker may have changed what stands behind "~".
using Asked = std::tuple<BackendKey, Incarnation, pid_t>;
template <class Row>
Asked asked_of(const Row& row) {
  return {own_key(row.key), row.incarnation, row.pid};
}

// Targets of one key, in the order of the first of each.
using Together = std::vector<std::vector<const WaveTarget*>>;

Together by_key(const std::vector<WaveTarget>& targets) {
  Together groups;
  std::map<BackendKey, std::size_t> at;
  for (const WaveTarget& target : targets) {
    const auto [found, is_new] = at.emplace(own_key(target.key), groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].push_back(&target);
  }
  return groups;
}

void append(Wave& wave, const std::vector<const WaveTarget*>& group) {
  for (const WaveTarget* target : group) wave.targets.push_back(*target);
}

}  // namespace

std::vector<WaveTarget> wave_targets(const DryRun& dry_run,
                                     const std::vector<BackendInfo>& listed) {
  std::set<BackendKey> wanted(dry_run.would_ask.begin(), dry_run.would_ask.end());
  for (const BackendOutcome& one : dry_run.would_fail) wanted.insert(one.key);
  std::vector<WaveTarget> targets;
  for (const BackendInfo& one : listed) {
    if (wanted.erase(one.key) != 0) targets.push_back(one);
  }
  for (const BackendOutcome& one : dry_run.would_fail) {
    if (wanted.erase(one.key) != 0) targets.push_back(target_of(one));
  }
  // Those that left since the dry run.
  for (const BackendKey& key : dry_run.would_ask) {
    if (wanted.erase(key) != 0) targets.emplace_back().key = key;
  }
  return targets;
}

std::vector<Wave> plan_waves(const std::vector<WaveTarget>& targets, const Selection& first,
                             std::optional<std::size_t> most) {
  Wave canary;
  canary.is_first = true;
  std::vector<Wave> waves;
  for (const auto& group : by_key(targets)) {
    const bool goes_first =
        !first.empty() && std::any_of(group.begin(), group.end(), [&](const WaveTarget* one) {
          return selects(first, one->key, one->labels);
        });
    if (goes_first) {
      append(canary, group);
      continue;
    }
    const bool is_full =
        waves.empty() || (most && waves.back().targets.size() + group.size() > *most);
    if (is_full) waves.emplace_back();
    append(waves.back(), group);
  }
  if (!canary.targets.empty()) waves.insert(waves.begin(), std::move(canary));
  return waves;
}

namespace {

// `key`, and what `also` asks for besides.
Selector both(const Selector& key, const Selector& also) {
  std::vector<SelectorTerm> all = key.terms();
  all.insert(all.end(), also.terms().begin(), also.terms().end());
  Selector::Parsed parsed = Selector::from_terms(std::move(all));
  if (!parsed.problem.empty()) {
    throw UsageError("--select has too many terms for waves: " + parsed.problem + ", and " +
                     std::to_string(key.terms().size()) + " of them name the backend");
  }
  return std::move(parsed.selector);
}

// Of processes that share a key. Those whose labels are not known may match all that is asked for:
// the broker knows.
Selection selection_of_group(const std::vector<const WaveTarget*>& group, const Selection& asked) {
  Selection exact = selection_of_key(own_key(group.front()->key));
  if (asked.empty()) return exact;
  Selection all;
  Selection matching;
  for (const Selector& one : asked) {
    const bool matches = std::any_of(group.begin(), group.end(), [&](const WaveTarget* target) {
      return one.matches(target->key, target->labels);
    });
    for (const Selector& key : exact) {
      all.push_back(both(key, one));
      if (matches) matching.push_back(all.back());
    }
  }
  return matching.empty() ? all : matching;
}

}  // namespace

std::vector<Selection> selections_of_wave(const Wave& wave, const Selection& asked) {
  constexpr std::size_t kMostTerms = 256;  // that a broker takes in one request
  std::vector<Selection> parts(1);
  std::size_t terms = 0;
  for (const auto& group : by_key(wave.targets)) {
    const Selection selection = selection_of_group(group, asked);
    std::size_t count = 0;
    for (const Selector& one : selection) count += one.terms().size();
    // All of a key in one part: it is asked once.
    if (!parts.back().empty() && terms + count > kMostTerms) {
      parts.emplace_back();
      terms = 0;
    }
    terms += count;
    parts.back().insert(parts.back().end(), selection.begin(), selection.end());
  }
  return parts;
}

// --- what became of them

namespace {

bool is_no(const BackendOutcome& row) {
  return row.outcome != OutcomeKind::kAck && row.outcome != OutcomeKind::kSkippedDead;
}

}  // namespace

WaveResult wave_result(Wave wave, std::vector<BroadcastReport> reports, bool is_incomplete) {
  std::set<BackendKey> keys;
  std::set<Asked> asked;
  WaveResult result;
  for (const BroadcastReport& report : reports) {
    for (const BackendOutcome& row : report.backends) {
      keys.insert(row.key);
      asked.insert(asked_of(row));
      result.failures += is_no(row);
    }
  }
  for (const WaveTarget& target : wave.targets) {
    if (keys.contains(target.key) || asked.contains(asked_of(target))) continue;
    (is_incomplete ? result.no_answer : result.left).push_back(target);
  }
  result.failures += result.no_answer.size();
  result.wave = std::move(wave);
  result.reports = std::move(reports);
  return result;
}

namespace {

BackendOutcome outcome_without_report(const WaveTarget& target) {
  BackendOutcome row;
  row.key = target.key;
  row.incarnation = target.incarnation;
  row.pid = target.pid;
  row.uid = target.uid;
  row.outcome = OutcomeKind::kFailure;
  row.reason = BroadcastFailureReason::kBackendError;
  row.said_by = SaidBy::kBroker;
  row.cause = Cause::kBrokerError;
  row.detail = "it may have been asked; its answer is not known";
  return row;
}

BackendOutcome outcome_of_dead(const BackendKey& key) {
  BackendOutcome row;
  row.key = key;
  row.outcome = OutcomeKind::kSkippedDead;
  return row;
}

// Each process once. One that was asked twice, because another with its key came, may not get
// better; and one that acked and then died did ack.
class Rows {
 public:
  explicit Rows(std::vector<BackendOutcome>& rows) : rows_(rows) {}

  void add(const BackendOutcome& row) {
    const auto [found, is_new] = at_.emplace(asked_of(row), rows_.size());
    if (is_new) return rows_.push_back(row);
    BackendOutcome& known = rows_[found->second];
    const bool replaces = known.outcome == OutcomeKind::kAck ? is_no(row) : !is_no(known);
    if (replaces) known = row;
  }

 private:
  std::vector<BackendOutcome>& rows_;
  std::map<Asked, std::size_t> at_;
};

void fill_result(BroadcastReport& report) {
  for (const BackendOutcome& row : report.backends) {
    switch (row.outcome) {
      case OutcomeKind::kAck:
        report.result.acks.push_back({row.key});
        break;
      case OutcomeKind::kTimeout:
        report.result.timeouts.push_back({row.key, row.ack_timeout});
        break;
      case OutcomeKind::kFailure:
        report.result.failures.push_back(
            {row.key, row.reason.value_or(BroadcastFailureReason::kBackendError)});
        break;
      case OutcomeKind::kSkippedDead:
        report.result.skipped_dead.push_back(row.key);
        break;
      default:
        break;  // open, or of a newer broker: the row itself is no ack
    }
  }
}

}  // namespace

BroadcastReport merged_report(const WavesReport& waves) {
  BroadcastReport merged(waves.operation);
  merged.state = BroadcastState::kFinished;
  merged.backends_unknown = waves.backends_unknown;
  merged.verify = waves.verify;
  merged.verification = waves.verification;
  Rows rows(merged.backends);
  for (const WaveResult& wave : waves.waves) {
    for (const BroadcastReport& report : wave.reports) {
      for (const BackendOutcome& row : report.backends) rows.add(row);
      merged.duration += report.duration;
      merged.backends_unknown |= report.backends_unknown;
      merged.interrupted |= report.interrupted;
      merged.id_not_durable |= report.id_not_durable;
    }
    for (const WaveTarget& one : wave.no_answer) rows.add(outcome_without_report(one));
  }
  std::set<BackendKey> dead;
  for (const BackendOutcome& row : merged.backends) {
    if (row.outcome == OutcomeKind::kSkippedDead) dead.insert(row.key);
  }
  for (const BackendKey& key : waves.dead) {
    if (!dead.contains(key)) merged.backends.push_back(outcome_of_dead(key));
  }
  fill_result(merged);
  return merged;
}

std::vector<WaveTarget> not_asked_yet(const std::vector<WaveTarget>& targets,
                                      const BroadcastReport& merged) {
  std::set<Asked> asked;
  for (const BackendOutcome& row : merged.backends) {
    if (row.outcome != OutcomeKind::kSkippedDead) asked.insert(asked_of(row));
  }
  std::vector<WaveTarget> missing;
  for (const WaveTarget& target : targets) {
    if (!asked.contains(asked_of(target))) missing.push_back(target);
  }
  return missing;
}

int status_of_waves(const WavesReport& waves, bool allow_empty) {
  const bool some_left = std::any_of(waves.waves.begin(), waves.waves.end(),
                                     [](const WaveResult& wave) { return !wave.left.empty(); });
  const bool some_missing = !waves.stopped.empty() || !waves.not_asked.empty() || some_left ||
                            !waves.others_not_asked.empty();
  if (some_missing) return kNotAllAcked;
  return exit_status_of(merged_report(waves), allow_empty, waves.verify);
}

}  // namespace muster::ctl
