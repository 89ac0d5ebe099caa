// With config_file.cpp, all that includes toml++.
#include "musterd/config/policy_section.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "muster/path.h"

#include "model/operation_table.h"
#include "musterd/config/accounts.h"
#include "musterd/config/effective_policy.h"
#include "musterd/config/values.h"

namespace muster::daemon {
namespace {

using core::AccessRule;
using core::ConnectRule;
using core::ControlRule;
using core::Effect;
using core::Lane;
using core::RegisterRule;

constexpr std::array<std::string_view, 3> kLists{"connect", "register", "control"};
constexpr std::array<std::string_view, 4> kConnectKeys{"users", "groups", "effect", "socket"};
constexpr std::array<std::string_view, 5> kRegisterKeys{"users", "groups", "effect", "services",
                                                        "instances"};
constexpr std::array<std::string_view, 5> kControlKeys{"users", "groups", "effect", "actions",
                                                       "release_below"};
constexpr std::string_view kEverybody = "*";
constexpr std::string_view kNone = "none";

std::string advice(std::string_view word, std::span<const std::string_view> known) {
  const auto near = nearest_word(word, known);
  if (!near.empty()) return fmt::format("; did you mean \"{}\"?", near);
  return fmt::format("; there is {}", fmt::join(known, ", "));
}

// One table of one list. What is wrong is told, with where, and the rest is read on.
class RuleReader {
 public:
  RuleReader(std::string_view list, const toml::table& table, Settings& settings,
             std::vector<ConfigError>& errors)
      : list_(list), table_(table), settings_(settings), errors_(errors) {}

  void only(std::span<const std::string_view> keys) {
    for (const auto& [key, node] : table_) {
      if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
      wrong(key.source(),
            fmt::format("has no key {}{}", quote_start(key.str()), advice(key.str(), keys)));
    }
  }

  void common(const std::filesystem::path& file, AccessRule& rule) {
    rule.origin = {fmt::format("policy.{}", list_), file.native(), table_.source().begin.line, {}};
    words("effect", [&](const std::string& word) -> std::string {
      if (word != "allow" && word != "deny") {
        return fmt::format("takes \"allow\" or \"deny\", not {}", quote_start(word));
      }
      rule.effect = word == "deny" ? Effect::kDeny : Effect::kAllow;
      return {};
    });
    bool all_known = true;
    const std::string where = rule.origin.to_string();
    const auto ask = [&](std::string_view what, const auto& lookup, const std::string& name) {
      Lookup found = lookup(name);
      if (!found.known()) {
        all_known = false;
        settings_.unresolved.push_back(
            {fmt::format("{} {}", what, quote(name)), where, found.problem, true});
      }
      return found;
    };
    people("users", "user", rule.who.everybody, rule.who.uids,
           [&](const std::string& name) { return ask("user", settings_.names.user, name); });
    people("groups", "group", rule.who.everybody, rule.who.gids, [&](const std::string& name) {
      Lookup found = ask("group", settings_.names.group, name);
      if (found.id) rule.who.group_names.emplace(static_cast<gid_t>(*found.id), name);
      return found;
    });
    if (!all_known && rule.effect == Effect::kDeny) {
      rule.who.everybody = true;
      rule.origin.remark = kUnresolvedRemark;
    }
    if (!table_.contains("users") && !table_.contains("groups")) {
      wrong(table_.source(),
            "says nothing of whom it is about: give users or groups; users = \"*\" is everybody");
    }
  }

  // Calls take(word) for the text, or for each of the list, under `key`.
  template <class Take>
  void words(std::string_view key, Take take) {
    each(key, [&](const toml::node& node) -> std::string {
      if (const auto* text = node.as_string()) return take(text->get());
      return "takes a text in quotes, or a list of them";
    });
  }

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  void wrong_here(const std::string& text) { wrong(table_.source(), text); }

 private:
  void wrong(const toml::source_region& where, const std::string& text) {
    errors_.push_back(
        {where.begin.line, where.begin.column, fmt::format("[[policy.{}]] {}", list_, text)});
  }

  template <class Take>
  void each(std::string_view key, Take take) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto one = [&](const toml::node& value) {
      const std::string problem = take(value);
      if (!problem.empty()) wrong(value.source(), fmt::format("{} {}", key, problem));
    };
    const auto* list = node->as_array();
    if (list == nullptr) return one(*node);
    if (list->empty()) wrong(node->source(), fmt::format("{} is an empty list", key));
    for (const toml::node& value : *list) one(value);
  }

  template <class Id, class Find>
  void people(std::string_view key, std::string_view what, bool& everybody, std::vector<Id>& ids,
              Find find) {
    each(key, [&](const toml::node& node) -> std::string {
      if (const auto* number = node.as_integer()) {
        if (number->get() < 0 || number->get() >= std::int64_t{kNobodysId}) {
          return fmt::format("takes names and numbers of {}s, not {}", what, number->get());
        }
        ids.push_back(static_cast<Id>(number->get()));
        return {};
      }
      const auto* name = node.as_string();
      if (name == nullptr) return fmt::format("takes names and numbers of {}s", what);
      if (name->get() == kEverybody) {
        everybody = true;
        return {};
      }
      const bool sound = !name->get().empty() && name->get().find('\0') == std::string::npos;
      const Lookup found = sound ? find(name->get()) : Lookup{};
      if (!found.known()) return {};
      if (!found.id) {
        return missing_account(what, name->get(), quote_start(name->get()));
      }
      ids.push_back(*found.id);
      return {};
    });
  }

  std::string_view list_;
  const toml::table& table_;
  Settings& settings_;
  std::vector<ConfigError>& errors_;
};

ConnectRule connect_rule(RuleReader& reader, const std::filesystem::path& file) {
  ConnectRule rule;
  reader.only(kConnectKeys);
  reader.common(file, rule);
  reader.words("socket", [&](const std::string& word) -> std::string {
    if (word != "backend" && word != "control") {
      return fmt::format("takes \"backend\" or \"control\", not {}", quote_start(word));
    }
    rule.lane = word == "control" ? Lane::kControl : Lane::kBackend;
    return {};
  });
  if (!reader.has("socket")) {
    reader.wrong_here("says not for which socket it is: socket = \"backend\" or \"control\"");
  }
  return rule;
}

void globs(RuleReader& reader, std::string_view key, const std::string& field, Selection& out) {
  reader.words(key, [&](const std::string& glob) -> std::string {
    auto parsed = Selector::from_terms({{field, glob}});
    if (glob.empty()) return "has an empty pattern, which matches nothing; \"*\" matches all";
    if (!parsed.problem.empty()) return fmt::format("is invalid: {}", parsed.problem);
    out.push_back(std::move(parsed.selector));
    return {};
  });
}

RegisterRule register_rule(RuleReader& reader, const std::filesystem::path& file) {
  RegisterRule rule;
  reader.only(kRegisterKeys);
  reader.common(file, rule);
  globs(reader, "services", "service", rule.services);
  globs(reader, "instances", "instance", rule.instances);
  return rule;
}

// "look", "release", ..
std::string action_words() {
  std::string words;
  for (const ActionRow& row : all_actions()) {
    if (!words.empty()) words += ", ";
    words += quote(row.word);
  }
  return words;
}

ControlRule control_rule(RuleReader& reader, const std::filesystem::path& file) {
  const auto actions = all_actions();
  ControlRule rule;
  reader.only(kControlKeys);
  reader.common(file, rule);
  reader.words("actions", [&](const std::string& word) -> std::string {
    const auto found = std::find_if(actions.begin(), actions.end(),
                                    [&](const ActionRow& row) { return row.word == word; });
    if (word == kEverybody) {
      for (const ActionRow& row : actions) rule.actions.push_back(row.action);
    } else if (found == actions.end()) {
      return fmt::format("takes {} or \"*\" for all, not {}", action_words(), quote_start(word));
    } else {
      rule.actions.push_back(found->action);
    }
    return {};
  });
  reader.words("release_below", [&](const std::string& path) -> std::string {
    auto normal = normalize_path_prefix(path);
    if (!normal.problem.empty()) return fmt::format("is invalid: {}", normal.problem);
    rule.release_below.push_back(std::move(normal.path));
    return {};
  });
  if (!reader.has("actions")) {
    reader.wrong_here("says not which actions it is about: actions = [" + action_words() +
                      "] or \"*\" for all");
  } else if (reader.has("release_below") &&
             std::find(rule.actions.begin(), rule.actions.end(), ControlAction::kRelease) ==
                 rule.actions.end()) {
    reader.wrong_here("has release_below, but its actions are without \"release\"");
  }
  return rule;
}

// true, false or the kinds of rules that there are none of. Returns what is wrong.
std::string read_none(const toml::node& node, NoRules& none) {
  if (const auto* all = node.as_boolean()) {
    none = {all->get(), all->get(), all->get()};
    return {};
  }
  const auto* kinds = node.as_array();
  if (kinds == nullptr) return "takes true, false or a list of kinds of rules";
  for (const toml::node& kind : *kinds) {
    const auto* word = kind.as_string();
    if (word == nullptr || std::find(kLists.begin(), kLists.end(), word->get()) == kLists.end()) {
      return fmt::format("takes a list of {}", fmt::join(kLists, ", "));
    }
    if (word->get() == "register") none.registration = true;
    if (word->get() == "control") none.control = true;
    if (word->get() == "connect") none.connect = true;
  }
  return {};
}

}  // namespace

std::vector<ConfigError> read_policy(const toml::table& section, const std::filesystem::path& file,
                                     Settings& settings) {
  std::vector<ConfigError> errors;
  core::AccessPolicy& policy = settings.policy;
  for (const auto& [key, node] : section) {
    const std::string_view list = key.str();
    const auto at = key.source().begin;
    if (list == kNone) {
      if (const std::string problem = read_none(node, settings.no_rules); !problem.empty()) {
        errors.push_back({at.line, at.column, "[policy] none " + problem});
      }
      continue;
    }
    if (std::find(kLists.begin(), kLists.end(), list) == kLists.end()) {
      errors.push_back(
          {at.line, at.column,
           fmt::format("unknown key {} in [policy]{}", quote_start(list), advice(list, kLists))});
      continue;
    }
    const auto* rules = node.as_array();
    if (rules == nullptr || !rules->is_array_of_tables()) {
      errors.push_back({at.line, at.column,
                        fmt::format("each rule of policy.{} begins with [[policy.{}]] on a line of "
                                    "its own",
                                    list, list)});
      continue;
    }
    for (const toml::node& rule : *rules) {
      RuleReader reader(list, *rule.as_table(), settings, errors);
      if (list == "connect") {
        policy.connect.push_back(connect_rule(reader, file));
      } else if (list == "register") {
        policy.registration.push_back(register_rule(reader, file));
      } else {
        policy.control.push_back(control_rule(reader, file));
      }
    }
  }
  const auto contradicts = [&](bool none, std::size_t rules, std::string_view kind) {
    if (!none || rules == 0) return;
    const auto at = section.source().begin;
    errors.push_back({at.line, at.column,
                      fmt::format("[policy] none says that there are no {0} rules, but there are: "
                                  "remove these rules, or name in none only the other kinds",
                                  kind)});
  };
  contradicts(settings.no_rules.registration, policy.registration.size(), "register");
  contradicts(settings.no_rules.control, policy.control.size(), "control");
  contradicts(settings.no_rules.connect, policy.connect.size(), "connect");
  return errors;
}

}  // namespace muster::daemon
