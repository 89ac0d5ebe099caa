#include "musterd/config/keys.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "muster/path.h"
#include "muster/socket_dir.h"

#include "model/time_text.h"
#include "musterd/config/accounts.h"
#include "musterd/config/values.h"

namespace muster::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Setter = std::function<std::string(Settings&, const ConfigValue&)>;

std::string shown(const ConfigValue& value) {
  struct Show {
    std::string operator()(const std::string& text) const { return quote(text); }
    std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const OtherValue& other) const { return std::string(other.kind); }
  };
  return std::visit(Show{}, value);
}

std::string wants(std::string_view form, const ConfigValue& found) {
  return fmt::format("takes {}, not {}", form, shown(found));
}

// `field` says where in the settings the value goes.
template <class Field>
Setter duration(Field field, milliseconds least, milliseconds most) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wants(kDurationForm, value);
    const ParsedDuration parsed = parse_duration(*text);
    if (!parsed.problem.empty()) return wants(kDurationForm, value);
    if (parsed.value < least || parsed.value > most) {
      return fmt::format("must be between {} and {}, not {}", format_duration(least),
                         format_duration(most), shown(value));
    }
    field(settings) = parsed.value;
    return {};
  };
}

template <class Field>
Setter size(Field field, std::uint64_t least, std::uint64_t most) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* text = std::get_if<std::string>(&value);
    const auto parsed = text == nullptr ? std::nullopt : parse_size(*text);
    if (!parsed) return wants(kSizeForm, value);
    if (*parsed < least || *parsed > most) {
      return fmt::format("must be between {} and {}, not {}", format_size(least), format_size(most),
                         shown(value));
    }
    field(settings) = static_cast<std::size_t>(*parsed);
    return {};
  };
}

template <class Field>
Setter count(Field field, std::int64_t least, std::int64_t most) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr) return wants("a whole number", value);
    if (*number < least || *number > most) {
      return fmt::format("must be between {} and {}, not {}", least, most, *number);
    }
    field(settings) = static_cast<std::size_t>(*number);
    return {};
  };
}

// One of a few words.
template <class Value, std::size_t N, class Field>
Setter word(Field field, std::array<std::pair<std::string_view, Value>, N> words) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* text = std::get_if<std::string>(&value);
    std::string form;
    for (std::size_t i = 0; i < N; ++i) {
      if (text != nullptr && *text == words[i].first) {
        field(settings) = words[i].second;
        return {};
      }
      form += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == N ? " or " : ", ", words[i].first);
    }
    return wants(form, value);
  };
}

template <class Field>
Setter yes_or_no(Field field) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* given = std::get_if<bool>(&value);
    if (given == nullptr) return wants("true or false", value);
    field(settings) = *given;
    return {};
  };
}

template <class Field>
Setter mode(Field field) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* text = std::get_if<std::string>(&value);
    const auto parsed = text == nullptr ? std::nullopt : parse_mode(*text);
    if (!parsed) return wants(kModeForm, value);
    field(settings) = parsed;
    return {};
  };
}

template <class Field>
Setter group(Field field) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      if (*number < 0 || *number >= kNobodysId) return wants("a group's name or number", value);
      field(settings) = static_cast<gid_t>(*number);
      return {};
    }
    const auto* name = std::get_if<std::string>(&value);
    if (name == nullptr || name->empty()) return wants("a group's name or number", value);
    const Lookup found = settings.names.group(*name);
    if (!found.known()) {
      settings.unresolved.push_back({"group " + shown(value), "[sockets]", found.problem, false});
    } else if (!found.id) {
      return missing_account("group", *name, shown(value));
    }
    field(settings) = found.id;
    return {};
  };
}

template <class Field>
Setter absolute_path(Field field) {
  return [=](Settings& settings, const ConfigValue& value) -> std::string {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || !text->starts_with('/') || text->find('\0') != std::string::npos) {
      return wants("an absolute path", value);
    }
    field(settings) = *text;
    return {};
  };
}

Setter socket_directory() {
  const auto set = absolute_path([](Settings & s) -> auto& { return s.sockets.dir; });
  return [set](Settings& settings, const ConfigValue& value) -> std::string {
    std::string problem = set(settings, value);
    if (problem.empty()) {
      const auto found = find_socket_dir(settings.sockets.dir);
      if (!found.problem.empty()) problem = "is invalid: " + found.problem;
    }
    return problem;
  };
}

std::vector<ConfigKey> make_keys() {
  const auto broker_time = [](milliseconds core::Config::*field, milliseconds least,
                              milliseconds most) {
    return duration(
        [field](Settings & s) -> auto& { return s.broker.*field; }, least, most);
  };
  const auto broker_count = [](std::size_t core::Config::*field, std::int64_t least,
                               std::int64_t most) {
    return count(
        [field](Settings & s) -> auto& { return s.broker.*field; }, least, most);
  };
  // 0: that user may have none.
  const auto quota_count = [](std::uint64_t core::Quota::*field) {
    return count(
        [field](Settings & s) -> auto& { return s.broker.quotas.each.*field; }, 0, 10'000'000);
  };
  using Config = core::Config;
  constexpr milliseconds kDay = 24h;
  constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLevels{
      {{"error", LogLevel::kError},
       {"warning", LogLevel::kWarning},
       {"info", LogLevel::kInfo},
       {"debug", LogLevel::kDebug}}};
  constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kFormats{
      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kTransports{
      {{"auto", "auto"}, {"epoll", "epoll"}, {"io_uring", "io_uring"}}};

  return {
      {"broker", "ack_timeout", broker_time(&Config::ack_timeout, 1ms, kDay)},
      {"broker", "max_ack_timeout", broker_time(&Config::max_ack_timeout, 1ms, kDay)},
      {"broker", "reconnect_grace", broker_time(&Config::reconnect_grace, 0ms, kDay)},
      {"broker", "restart_grace", broker_time(&Config::restart_grace, 0ms, kDay)},
      {"broker", "register_timeout", broker_time(&Config::register_timeout, 10ms, 1h)},
      {"broker", "send_queue",
       size(
           [](Settings & s) -> auto& { return s.send_queue; }, 16U << 10U, 1ULL << 30U)},
      {"broker", "max_broadcasts", broker_count(&Config::max_broadcasts, 1, 1'000'000)},
      {"broker", "reports_kept", broker_count(&Config::max_reports, 1, 10'000'000)},
      {"broker", "report_age", broker_time(&Config::report_age, 1s, 366 * kDay)},
      {"broker", "report_targets_kept",
       broker_count(&Config::max_report_targets, 1, 1'000'000'000)},
      {"broker", "report_bytes_kept",
       size(
           [](Settings & s) -> auto& { return s.broker.max_report_bytes; }, 64U << 10U,
           1ULL << 40U)},
      {"broker", "hold_ttl_max", broker_time(&Config::max_hold_ttl, 1s, 366 * kDay)},
      {"broker", "hold_scan_interval", broker_time(&Config::hold_scan_interval, 1s, kDay)},
      {"broker", "dead_kept", broker_count(&Config::max_dead, 0, 10'000'000)},
      {"broker", "dead_age", broker_time(&Config::dead_age, 1s, 366 * kDay)},
      {"broker", "transport",
       word(
           [](Settings & s) -> auto& { return s.transport; }, kTransports)},
      {"sockets", "dir", socket_directory()},
      {"sockets", "backend_mode",
       mode([](Settings & s) -> auto& { return s.sockets.backend.mode; })},
      {"sockets", "backend_group",
       group([](Settings & s) -> auto& { return s.sockets.backend.group; })},
      {"sockets", "control_mode",
       mode([](Settings & s) -> auto& { return s.sockets.control.mode; })},
      {"sockets", "control_group",
       group([](Settings & s) -> auto& { return s.sockets.control.group; })},
      {"control", "connections",
       count(
           [](Settings & s) -> auto& { return s.control.connections; }, 1, 65'536)},
      {"control", "event_queue",
       size(
           [](Settings & s) -> auto& { return s.control.event_queue; }, 16U << 10U, 1ULL << 30U)},
      {"control", "scan",
       absolute_path([](Settings & s) -> auto& { return s.control.scan_socket; })},
      {"quota", "connections", quota_count(&core::Quota::connections)},
      {"quota", "registrations", quota_count(&core::Quota::registrations)},
      {"quota", "queued_bytes",
       size(
           [](Settings & s) -> auto& { return s.broker.quotas.each.queued_bytes; }, 16U << 10U,
           1ULL << 40U)},
      {"quota", "broadcasts", quota_count(&core::Quota::broadcasts)},
      {"quota", "holds", quota_count(&core::Quota::holds)},
      {"quota", "operators", quota_count(&core::Quota::operators)},
      {"quota", "followers", quota_count(&core::Quota::followers)},
      {"quota", "answer_bytes",
       size(
           [](Settings & s) -> auto& { return s.broker.quotas.each.answer_bytes; }, 16U << 10U,
           1ULL << 40U)},
      {"quota", "report_bytes",
       size(
           [](Settings & s) -> auto& { return s.broker.quotas.each.report_bytes; }, 16U << 10U,
           1ULL << 40U)},
      {"log", "level",
       word(
           [](Settings & s) -> auto& { return s.log.level; }, kLevels)},
      {"log", "format",
       word(
           [](Settings & s) -> auto& { return s.log.format; }, kFormats)},
      {"history", "enabled", yes_or_no([](Settings & s) -> auto& { return s.history.enabled; })},
      {"history", "keep_age",
       duration(
           [](Settings & s) -> auto& { return s.history.keep_age; }, 1h, 3660 * kDay)},
      {"history", "keep_bytes",
       size(
           [](Settings & s) -> auto& { return s.history.keep_bytes; }, 1U << 20U, 1ULL << 40U)},
      {"state", "dir", absolute_path([](Settings & s) -> auto& { return s.state_dir; })},
  };
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

const ConfigKey* find_config_key(std::string_view section, std::string_view name) {
  for (const ConfigKey& key : config_keys()) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

std::string parse_user(Settings& settings, const ConfigValue& value, std::optional<uid_t>& uid) {
  constexpr std::string_view kForm = "a user's name or number";
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    if (*number < 0 || *number >= kNobodysId) return wants(kForm, value);
    uid = static_cast<uid_t>(*number);
    return {};
  }
  const auto* name = std::get_if<std::string>(&value);
  if (name == nullptr || name->empty()) return wants(kForm, value);
  const Lookup found = settings.names.user(*name);
  uid = found.id;
  if (!found.known()) {
    settings.unresolved.push_back({"user " + shown(value), "[[quota.uid]]", found.problem, false});
    return {};
  }
  if (!uid) return fmt::format("names the user {}, whom this host does not have", shown(value));
  return {};
}

void set_own_quota(std::string_view name, const core::Quota& from, core::QuotaOverride& own) {
  if (name == "connections") own.connections = from.connections;
  if (name == "registrations") own.registrations = from.registrations;
  if (name == "queued_bytes") own.queued_bytes = from.queued_bytes;
  if (name == "broadcasts") own.broadcasts = from.broadcasts;
  if (name == "holds") own.holds = from.holds;
  if (name == "operators") own.operators = from.operators;
  if (name == "followers") own.followers = from.followers;
  if (name == "answer_bytes") own.answer_bytes = from.answer_bytes;
  if (name == "report_bytes") own.report_bytes = from.report_bytes;
}

std::vector<Contradiction> contradictions(const Settings& settings) {
  std::vector<Contradiction> found;
  const auto& broker = settings.broker;
  if (broker.ack_timeout > broker.max_ack_timeout) {
    found.push_back({"broker", "ack_timeout", "max_ack_timeout",
                     fmt::format("is {}, more than max_ack_timeout, {}: make it less, or that more",
                                 format_duration(broker.ack_timeout),
                                 format_duration(broker.max_ack_timeout))});
  }
  return found;
}

}  // namespace muster::daemon
