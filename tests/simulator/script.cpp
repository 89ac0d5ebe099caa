#include "simulator/script.h"

#include <algorithm>
#include <array>

#include "simulator/universe.h"

namespace muster::simulator {
namespace {

struct Field {
  std::string_view name;
  std::int64_t Knobs::*value;
};

constexpr std::array kFields = {
    Field{"ack_timeout", &Knobs::ack_timeout},
    Field{"max_ack_timeout", &Knobs::max_ack_timeout},
    Field{"grace", &Knobs::grace},
    Field{"restart_grace", &Knobs::restart_grace},
    Field{"register_timeout", &Knobs::register_timeout},
    Field{"max_broadcasts", &Knobs::max_broadcasts},
    Field{"max_reports", &Knobs::max_reports},
    Field{"report_age", &Knobs::report_age},
    Field{"max_report_targets", &Knobs::max_report_targets},
    Field{"max_report_bytes", &Knobs::max_report_bytes},
    Field{"max_dead", &Knobs::max_dead},
    Field{"dead_age", &Knobs::dead_age},
    Field{"max_refused", &Knobs::max_refused},
    Field{"policy", &Knobs::policy},
    Field{"connections_each", &Knobs::connections_each},
    Field{"registrations_each", &Knobs::registrations_each},
    Field{"broadcasts_each", &Knobs::broadcasts_each},
    Field{"queued_each", &Knobs::queued_each},
    Field{"report_bytes_each", &Knobs::report_bytes_each},
    Field{"holds_each", &Knobs::holds_each},
    Field{"more", &Knobs::more},
    Field{"max_hold_ttl", &Knobs::max_hold_ttl},
    Field{"hold_scan_interval", &Knobs::hold_scan_interval},
    Field{"verify_scan_interval", &Knobs::verify_scan_interval},
    Field{"first_id", &Knobs::first_id},
    Field{"queue", &Knobs::queue},
    Field{"curious", &Knobs::curious},
    Field{"one_budget", &Knobs::one_budget},
};

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  line = line.substr(0, std::min(line.find('#'), line.size()));
  const auto begin = std::min(line.find_first_not_of(" \t"), line.size());
  line.remove_prefix(begin);
  line = line.substr(0, line.find_last_not_of(" \t") + 1);
  return line;
}

bool parse_knobs(std::string_view line, Knobs& knobs) {
  while (!line.empty()) {
    const auto set = take_named_number(line);
    if (!set) return false;
    const auto* field = std::find_if(kFields.begin(), kFields.end(),
                                     [&](const Field& known) { return known.name == set->name; });
    if (field == kFields.end()) return false;
    knobs.*(field->value) = set->number;
  }
  return true;
}

}  // namespace

Knobs random_knobs(Rng& rng) {
  Knobs knobs;
  knobs.one_budget = rng.chance(30) ? 1 : 0;
  knobs.curious = rng.chance(12) ? 1 : 0;
  knobs.ack_timeout = rng.pick(std::array{1, 40, 300, 5000, 5000});
  knobs.max_ack_timeout = rng.pick(std::array{50, 1000, 300'000});
  knobs.grace = rng.pick(std::array{0, 20, 200, 1000});
  knobs.restart_grace = rng.pick(std::array{0, 300, 5000});
  knobs.register_timeout = rng.pick(std::array{30, 500, 5000});
  if (rng.chance(25)) knobs.max_broadcasts = rng.between(1, 5);
  if (rng.chance(25)) knobs.max_reports = rng.between(0, 5);
  if (rng.chance(25)) knobs.report_age = rng.pick(std::array{0, 1, 100, 2000});
  if (rng.chance(15)) knobs.max_report_targets = rng.between(0, 6);
  if (rng.chance(15)) knobs.max_report_bytes = rng.between(1, 12'000);
  if (rng.chance(30)) knobs.max_dead = rng.between(0, 5);
  if (rng.chance(30)) knobs.dead_age = rng.pick(std::array{0, 1, 100, 2000});
  if (rng.chance(20)) knobs.policy = rng.between(1, kPolicies - 1);
  if (rng.chance(12)) knobs.connections_each = rng.between(1, 5);
  if (rng.chance(12)) knobs.registrations_each = rng.between(1, 4);
  if (rng.chance(12)) knobs.broadcasts_each = rng.between(0, 2);
  if (rng.chance(12)) knobs.queued_each = rng.between(2, 12);
  if (rng.chance(15)) knobs.report_bytes_each = rng.between(1, 9'000);
  if (rng.chance(15)) knobs.holds_each = rng.between(0, 3);
  if (rng.chance(20)) knobs.max_hold_ttl = rng.pick(std::array{1, 100, 3000});
  if (rng.chance(30)) knobs.hold_scan_interval = rng.pick(std::array{100, 1000});
  if (rng.chance(30)) knobs.verify_scan_interval = rng.pick(std::array{20, 100, 2000});
  if (rng.chance(30)) knobs.more = rng.between(1, 2);
  if (rng.chance(30)) knobs.first_id = rng.between(2, 1'000'000);
  if (rng.chance(20)) knobs.queue = rng.between(1, 4);
  if (rng.chance(30)) knobs.max_refused = rng.between(0, 2);
  return knobs;
}

std::vector<Knobs> simpler(const Knobs& knobs) {
  std::vector<Knobs> all;
  const Knobs usual;
  for (const auto& field : kFields) {
    if (knobs.*(field.value) == usual.*(field.value)) continue;
    all.push_back(knobs);
    all.back().*(field.value) = usual.*(field.value);
  }
  return all;
}

core::Config config_of(const Knobs& knobs) {
  using std::chrono::milliseconds;
  core::Config config;
  config.ack_timeout = milliseconds(knobs.ack_timeout);
  config.max_ack_timeout = milliseconds(knobs.max_ack_timeout);
  config.reconnect_grace = milliseconds(knobs.grace);
  config.restart_grace = milliseconds(knobs.restart_grace);
  config.register_timeout = milliseconds(knobs.register_timeout);
  config.max_broadcasts = static_cast<std::size_t>(knobs.max_broadcasts);
  config.max_reports = static_cast<std::size_t>(knobs.max_reports);
  config.report_age = milliseconds(knobs.report_age);
  config.max_report_targets = static_cast<std::size_t>(knobs.max_report_targets);
  config.max_report_bytes = static_cast<std::size_t>(knobs.max_report_bytes);
  config.max_hold_ttl = milliseconds(knobs.max_hold_ttl);
  config.hold_scan_interval = milliseconds(knobs.hold_scan_interval);
  config.verify_scan_interval = milliseconds(knobs.verify_scan_interval);
  config.max_dead = static_cast<std::size_t>(knobs.max_dead);
  config.dead_age = milliseconds(knobs.dead_age);
  config.max_refused = static_cast<std::size_t>(knobs.max_refused);
  const auto count = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  auto& each = config.quotas.each;
  each.connections = count(knobs.connections_each);
  each.registrations = count(knobs.registrations_each);
  each.broadcasts = count(knobs.broadcasts_each);
  each.queued_bytes = count(knobs.queued_each);
  each.report_bytes = count(knobs.report_bytes_each);
  each.holds = count(knobs.holds_each);
  if (knobs.more != 0) {
    auto& first = config.quotas.of_uid[uid_of(0)];
    first.connections = each.connections + count(knobs.more);
    first.registrations = each.registrations + count(knobs.more);
    first.broadcasts = each.broadcasts + count(knobs.more);
    first.queued_bytes = each.queued_bytes + count(knobs.more);
    first.report_bytes = each.report_bytes + count(knobs.more);
    first.holds = each.holds + count(knobs.more);
  }
  config.policy = policy_of(knobs.policy);
  config.first_id_ever = static_cast<BroadcastId>(knobs.first_id);
  return config;
}

std::string to_string(const Script& script) {
  std::string text = "knobs";
  const Knobs usual;
  for (const auto& field : kFields) {
    const auto value = script.knobs.*(field.value);
    if (value == usual.*(field.value)) continue;
    text.append(1, ' ').append(field.name).append(1, '=').append(std::to_string(value));
  }
  for (const auto& step : script.steps) text += '\n' + to_string(step);
  return text + '\n';
}

std::optional<Script> parse_script(std::string_view text, std::string& bad_line) {
  Script script;
  while (!text.empty()) {
    const auto line = take_line(text);
    if (line.empty()) continue;
    bool good = false;
    if (line == "knobs" || line.starts_with("knobs ")) {
      good = parse_knobs(line.substr(5), script.knobs);
    } else if (const auto step = parse_step(line)) {
      script.steps.push_back(*step);
      good = true;
    }
    if (!good) {
      bad_line = line;
      return std::nullopt;
    }
  }
  return script;
}

}  // namespace muster::simulator
