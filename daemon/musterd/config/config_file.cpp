// With policy_section.cpp, all that includes toml++.
#include "musterd/config/config_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <system_error>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "muster/path.h"

#include "musterd/config/keys.h"
#include "musterd/config/policy_section.h"
#include "musterd/config/toml.h"
#include "musterd/config/values.h"
#include "os/error_text.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr std::string_view kQuota = "quota";
constexpr std::string_view kPolicy = "policy";  // rules, not keys

ConfigError error_at(const toml::source_region& where, std::string text) {
  return {where.begin.line, where.begin.column, std::move(text)};
}

ConfigValue value_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return node.as_string()->get();
    case toml::node_type::integer:
      return node.as_integer()->get();
    case toml::node_type::floating_point:
      return node.as_floating_point()->get();
    case toml::node_type::boolean:
      return node.as_boolean()->get();
    case toml::node_type::array:
      return OtherValue{"an array"};
    case toml::node_type::table:
      return OtherValue{"a table"};
    default:
      return OtherValue{"a date or time"};
  }
}

// ", did you mean ...?" or, with nothing near, the list of what there is.
std::string advice(std::string_view word, const std::vector<std::string_view>& known) {
  const auto near = nearest_word(word, known);
  if (!near.empty()) return fmt::format("; did you mean \"{}\"?", near);
  return fmt::format("; there is {}", fmt::join(known, ", "));
}

std::vector<std::string_view> section_names() {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (names.empty() || names.back() != key.section) names.push_back(key.section);
  }
  names.push_back(kPolicy);
  return names;
}

std::vector<std::string_view> key_names(std::string_view section) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (key.section == section) names.push_back(key.name);
  }
  return names;
}

// What stands before the first section, or is a section that there is none of.
std::string unknown_at_top(std::string_view name, bool is_section) {
  if (!is_section) {
    for (const ConfigKey& key : config_keys()) {
      if (key.name == name) {
        return fmt::format("unknown key {}: it belongs under [{}]", quote_start(name), key.section);
      }
    }
  }
  return fmt::format("unknown {} {}{}", is_section ? "section" : "key", quote_start(name),
                     advice(name, section_names()));
}

class Reader {
 public:
  Reader(Settings& settings, const std::filesystem::path& file)
      : settings_(settings), file_(file) {}

  std::vector<ConfigError> read(const toml::table& file) {
    const auto sections = section_names();
    for (const auto& [key, node] : file) {
      const bool known = std::find(sections.begin(), sections.end(), key.str()) != sections.end();
      if (!known) {
        errors_.push_back(error_at(key.source(), unknown_at_top(key.str(), node.is_table())));
      } else if (const auto* section = node.as_table()) {
        if (key.str() == kPolicy) {
          for (ConfigError& error : read_policy(*section, file_, settings_)) {
            errors_.push_back(std::move(error));
          }
        } else {
          read_section(key.str(), *section);
        }
      } else {
        errors_.push_back(error_at(
            key.source(),
            fmt::format("{} is a section: write [{}] on a line of its own, and its keys below",
                        quote_start(key.str()), key.str())));
      }
    }
    for (const Contradiction& found : contradictions(settings_)) {
      // At least one of them was given: the defaults fit together.
      auto seen = seen_.find({found.section, found.name});
      if (seen == seen_.end()) seen = seen_.find({found.section, found.other});
      const auto where = seen == seen_.end() ? toml::source_region{} : seen->second;
      errors_.push_back(
          error_at(where, fmt::format("[{}] {} {}", found.section, found.name, found.text)));
    }
    std::sort(errors_.begin(), errors_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.line, a.column, a.text) < std::tie(b.line, b.column, b.text);
    });
    return std::move(errors_);
  }

 private:
  void read_section(std::string_view section, const toml::table& table) {
    for (const auto& [name, node] : table) {
      if (section == kQuota && name.str() == "uid") {
        read_quotas_of_users(node);
        continue;
      }
      const ConfigKey* key = find_config_key(section, name.str());
      if (key == nullptr) {
        errors_.push_back(
            error_at(name.source(), fmt::format("unknown key {} in [{}]{}", quote_start(name.str()),
                                                section, advice(name.str(), key_names(section)))));
        continue;
      }
      seen_.emplace(std::pair(key->section, key->name), name.source());
      const std::string problem = key->set(settings_, value_of(node));
      if (!problem.empty()) {
        errors_.push_back(
            error_at(node.source(), fmt::format("[{}] {} {}", section, key->name, problem)));
      }
    }
  }

  void read_quotas_of_users(const toml::node& node) {
    const auto* list = node.as_array();
    const auto is_table = [](const toml::node& one) { return one.is_table(); };
    if (list == nullptr || !std::all_of(list->begin(), list->end(), is_table)) {
      errors_.push_back(
          error_at(node.source(),
                   "[quota] uid is a section for each user: write [[quota.uid]] on a "
                   "line of its own, and below it uid = \"NAME\" and what is different"));
      return;
    }
    for (const toml::node& one : *list) read_quota_of_user(*one.as_table());
  }

  // The keys of [quota] once more, for one user.
  void read_quota_of_user(const toml::table& table) {
    std::optional<uid_t> uid;
    core::QuotaOverride own;
    Settings scratch;
    bool is_named = false;
    for (const auto& [name, node] : table) {
      const ConfigKey* key = find_config_key(kQuota, name.str());
      std::string problem;
      if (name.str() == "uid") {
        is_named = true;
        problem = parse_user(settings_, value_of(node), uid);
      } else if (key != nullptr) {
        problem = key->set(scratch, value_of(node));
        set_own_quota(key->name, scratch.broker.quotas.each, own);
      } else {
        auto known = key_names(kQuota);
        known.insert(known.begin(), "uid");
        errors_.push_back(error_at(
            name.source(), fmt::format("unknown key {} in [[quota.uid]]{}", quote_start(name.str()),
                                       advice(name.str(), known))));
        continue;
      }
      if (problem.empty()) continue;
      errors_.push_back(
          error_at(node.source(), fmt::format("[[quota.uid]] {} {}", name.str(), problem)));
    }
    if (!is_named) {
      errors_.push_back(error_at(
          table.source(), "[[quota.uid]] does not say whose it is: give uid, a name or a number"));
    } else if (uid && !settings_.broker.quotas.of_uid.emplace(*uid, own).second) {
      errors_.push_back(
          error_at(table.source(), fmt::format("[[quota.uid]] for uid {} is there already", *uid)));
    }
  }

  Settings& settings_;
  const std::filesystem::path& file_;
  std::vector<ConfigError> errors_;
  std::map<std::pair<std::string_view, std::string_view>, toml::source_region> seen_;
};

}  // namespace

std::string to_string(const ConfigError& error, const std::filesystem::path& file) {
  const std::string name = escape_bytes(file.native());
  if (error.line == 0) return fmt::format("{}: {}", name, error.text);
  return fmt::format("{}:{}:{}: {}", name, error.line, error.column, error.text);
}

std::vector<ConfigError> parse_config(std::string_view text, Settings& settings,
                                      const std::filesystem::path& file) {
  try {
    const toml::table parsed = toml::parse(text);
    return Reader(settings, file).read(parsed);
  } catch (const toml::parse_error& error) {
    return {error_at(error.source(),
                     fmt::format("not TOML: {}", escape_controls(error.description())))};
  }
}

ConfigText read_config(const std::filesystem::path& file) {
  const auto failed = [](int error) -> ConfigText {
    ConfigText none;
    none.problem = fmt::format("cannot be read: {}", os::error_text(error));
    none.missing = error == ENOENT;
    return none;
  };
  // Not waiting: a pipe has nobody at its other end, perhaps.
  const os::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return failed(errno);
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0) return failed(errno);
  if (S_ISDIR(found.st_mode)) return failed(EISDIR);
  ConfigText read;
  if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3)) return read;
  if (!S_ISREG(found.st_mode)) {
    read.problem = "is not a regular file: name a file that can be read at any time";
    return read;
  }
  std::string& text = read.text;
  for (;;) {
    constexpr std::size_t kChunk = 16 * 1024;
    const std::size_t before = text.size();
    text.resize(before + kChunk);
    const ssize_t got = ::read(fd.get(), text.data() + before, kChunk);
    if (got < 0 && errno != EINTR) return failed(errno);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return read;
    if (text.size() > kMaxFileBytes) {
      read.problem = "is larger than 1MiB: that is no configuration of musterd";
      return read;
    }
  }
}

std::vector<ConfigError> load_config(const std::filesystem::path& file, Settings& settings) {
  const ConfigText read = read_config(file);
  if (!read.problem.empty()) return {{0, 0, read.problem}};
  return parse_config(read.text, settings, file);
}

}  // namespace muster::daemon
