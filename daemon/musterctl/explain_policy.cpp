// musterctl explain-policy: what the policy in force allows a user, and which rule decides. The
// user is looked up in the accounts of this host.
//
// musterctl has one thread: the functions of the C library that want that are good enough.
// NOLINTBEGIN(concurrency-mt-unsafe)
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <grp.h>
#include <limits>
#include <map>
#include <optional>
#include <pwd.h>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "muster/control.h"
#include "muster/json.h"
#include "muster/path.h"
#include "muster/socket_dir.h"

#include "model/operation_table.h"
#include "musterctl/program.h"
#include "musterctl/resolve_path.h"
#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

namespace {

// What no account has, and so no rule is about.
constexpr gid_t kNoGroup = std::numeric_limits<gid_t>::max();

std::optional<std::uint32_t> number(const std::string& text) {
  std::uint32_t value = 0;
  const auto* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value == kNoGroup) return std::nullopt;
  return value;
}

std::string shown_group(gid_t gid) {
  std::string text = std::to_string(gid);
  const std::string name = group_names_of_system()(gid);
  return name.empty() ? text : text + ' ' + name;
}

// Puts the account's uid, primary group and other groups into the question. `user` is a name or a
// number; a number without an account has no groups. Returns what is wrong, as a sentence.
std::string read_user(const std::string& user, PolicyQuestion& question) {
  const auto uid = number(user);
  const ::passwd* found = uid ? ::getpwuid(*uid) : ::getpwnam(user.c_str());
  if (found == nullptr && !uid) {
    return "there is no user " + quote(user) + " on this host: give a name or a number";
  }
  question.gid = kNoGroup;
  question.groups.clear();
  if (found == nullptr) {
    question.uid = *uid;
    return {};
  }
  question.uid = found->pw_uid;
  question.gid = found->pw_gid;
  const std::string name = found->pw_name;
  int count = static_cast<int>(PolicyQuestion::kMaxGroups);
  question.groups.resize(PolicyQuestion::kMaxGroups);
  if (::getgrouplist(name.c_str(), question.gid, question.groups.data(), &count) < 0) count = 0;
  question.groups.resize(static_cast<std::size_t>(count));
  std::erase(question.groups, question.gid);  // said already
  return {};
}

// The first call sets the primary group, others add one. `first`: whether it is that.
std::string read_group(const std::string& group, bool first, PolicyQuestion& question) {
  auto gid = number(group);
  if (!gid) {
    const ::group* found = ::getgrnam(group.c_str());
    if (found == nullptr) {
      return "there is no group " + quote(group) + " on this host: give a name or a number";
    }
    gid = found->gr_gid;
  }
  if (first) {
    question.gid = *gid;
    question.groups.clear();
  } else {
    question.groups.push_back(*gid);
  }
  return {};
}

// "uid 1000 alice, gid 1000 alice, groups 20 dialout: denied", and a line for each step.
std::string show_explanation(const PolicyQuestion& question, const PolicyExplanation& explanation) {
  std::string text = "uid " + std::to_string(question.uid);
  const std::string name = user_names_of_system()(question.uid);
  if (!name.empty()) text += ' ' + name;
  text += question.gid == kNoGroup ? ", no group (it has no account here)"
                                   : ", gid " + shown_group(question.gid);
  const char* before = ", groups ";
  for (const gid_t group : question.groups) {
    text += before + shown_group(group);
    before = ", ";
  }
  text += explanation.allowed() ? ": allowed\n" : ": denied\n";
  for (const PolicyStep& step : explanation.steps) {
    text += step.allowed ? "  allowed  " : "  denied   ";
    text += escape_controls(step.question) + ": " + escape_controls(step.rule) + '\n';
  }
  return text;
}

// Whether the permissions let that user do it: one of the bits of owner, group or others.
bool permits(const struct stat& file, const PolicyQuestion& who, mode_t of_owner) {
  if (who.uid == 0) return true;
  if (who.uid == file.st_uid) return (file.st_mode & of_owner) != 0;
  const bool is_member = who.gid == file.st_gid || std::find(who.groups.begin(), who.groups.end(),
                                                             file.st_gid) != who.groups.end();
  return (file.st_mode & (is_member ? of_owner >> 3U : of_owner >> 6U)) != 0;
}

// "the mode 0600 of /run/muster/backend.sock (user 0 root, group 0 root)"
std::string shown_mode(const std::filesystem::path& path, const struct stat& file) {
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(file.st_mode & 07777U));
  const std::string owner = user_names_of_system()(file.st_uid);
  return std::string("the mode ") + mode.data() + " of " + escape_bytes(path.native()) + " (user " +
         std::to_string(file.st_uid) + (owner.empty() ? "" : ' ' + owner) + ", group " +
         shown_group(file.st_gid) + ')';
}

// The kernel asks nobody: what directory and socket forbid, no rule allows.
void look_at_sockets(const std::filesystem::path& dir, const PolicyQuestion& who,
                     PolicyExplanation& explanation) {
  for (PolicyStep& step : explanation.steps) {
    for (const char* name : {kBackendSocketName, kControlSocketName}) {
      if (!step.allowed || step.question != std::string("connect to ") + name) continue;
      for (const auto& [path, bit] :
           {std::pair(dir, mode_t{S_IXUSR}), std::pair(dir / name, mode_t{S_IWUSR})}) {
        struct stat file {};
        if (::stat(path.c_str(), &file) != 0 || permits(file, who, bit)) continue;
        step.allowed = false;
        step.rule = "policy allows it (" + step.rule + "), " + shown_mode(path, file) + " does not";
        break;
      }
    }
  }
}

class ExplainPolicyCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "explain-policy"; }
  [[nodiscard]] std::string summary() const override {
    return "Show whether a user may do something, and which rule of which file decides";
  }

  void declare(Options& options) override {
    options.value("--uid", "USER", "The user, by name or number, with the groups of its account",
                  [this](const std::string& text) {
                    has_user_ = true;
                    PolicyQuestion account;
                    std::string problem = read_user(text, account);
                    question_.uid = account.uid;
                    if (!groups_given_) {
                      question_.gid = account.gid;
                      question_.groups = std::move(account.groups);
                    }
                    return problem;
                  });
    options.value(
        "--gid", "GROUP", "A group instead of those of the account. Give it again to add one",
        [this](const std::string& text) {
          const bool first = !groups_given_;
          groups_given_ = true;
          return read_group(text, first, question_);
        },
        true);
    options.value("--service", "NAME", "May it register this service?",
                  [this](const std::string& text) {
                    service_ = text;
                    return BackendKey{Instance::shared(), text, "1.0.0", ""}.problem().value_or("");
                  });
    options.value("--instance", "INSTANCE",
                  "Of the service: shared (default), private:SERVICE or explicit:NAME",
                  [this](const std::string& text) {
                    instance_ = Instance::parse(text);
                    return instance_ ? std::string()
                                     : std::string("give shared, private:SERVICE or explicit:NAME");
                  });
    for (const ActionRow& row : all_actions()) {
      const std::string name = "--" + std::string(row.word);
      if (!row.has_path) {
        options.flag(name, std::string(row.question), actions_[row.action]);
        continue;
      }
      options.value(name, "PATH", std::string(row.question),
                    [this, action = row.action](const std::string& text) {
                      std::string problem;
                      if (!absolute_path(text, problem).empty()) {
                        paths_[action] = resolve_path(text).path;
                      }
                      return problem;
                    });
    }
    declare_quiet(options, quiet_);
    options.epilogue(
        "The broker answers from the policy in force. Without a question it says whether the user\n"
        "may connect at all. The answer is no as well where the permissions of the socket or of "
        "its\n"
        "directory keep the user out. The exit status is 0 if the answer is yes, 1 if it is no.\n"
        "\n"
        "Examples:\n"
        "  musterctl explain-policy --uid zcc --service zccache\n"
        "  musterctl explain-policy --uid alice --release /var/cache/x\n"
        "  musterctl explain-policy --uid 1000 --gid 20 --gid 100 --quiesce --json\n");
  }

  int run(const Invocation& invocation) override {
    question_.about = about();
    ControlClient client = make_client(invocation, !quiet_);
    PolicyExplanation explanation = client.explain_policy(question_);
    if (const SocketDir dir = find_socket_dir(invocation.common.socket_dir); dir.problem.empty()) {
      look_at_sockets(dir.path, question_, explanation);
    }
    if (!quiet_) {
      invocation.console.out(invocation.common.json ? to_json(explanation) + '\n'
                                                    : show_explanation(question_, explanation));
    }
    return explanation.allowed() ? kAllAcked : kNotAllAcked;
  }

 private:
  [[nodiscard]] decltype(PolicyQuestion::about) about() const {
    const auto wrong = [](const std::string& what) {
      return UsageError("explain-policy: " + what + " (see musterctl explain-policy --help)");
    };
    if (!has_user_) throw wrong("name the user with --uid");
    if (instance_ && service_.empty()) throw wrong("--instance is of a service: give --service");
    using Control = PolicyQuestion::Control;
    std::vector<decltype(PolicyQuestion::about)> asked;
    if (!service_.empty()) {
      asked.emplace_back(
          PolicyQuestion::Registration{service_, instance_.value_or(Instance::shared())});
    }
    for (const auto& [action, path] : paths_) asked.emplace_back(Control{action, path});
    for (const auto& [action, is_asked] : actions_) {
      if (is_asked) asked.emplace_back(Control{action, {}});
    }
    if (asked.size() > 1) {
      std::string questions = "--service";
      for (const ActionRow& row : all_actions()) {
        questions += &row == &all_actions().back() ? " or --" : ", --";
        questions += row.word;
      }
      throw wrong("ask one question: " + questions);
    }
    return asked.empty() ? decltype(PolicyQuestion::about)() : asked.front();
  }

  PolicyQuestion question_;
  bool has_user_ = false;
  bool groups_given_ = false;
  std::string service_;
  std::optional<Instance> instance_;
  std::map<ControlAction, std::string> paths_;  // asked about
  std::map<ControlAction, bool> actions_;       // asked about, of those without a path
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> explain_policy_command() {
  return std::make_unique<ExplainPolicyCommand>();
}

}  // namespace muster::ctl
// NOLINTEND(concurrency-mt-unsafe)
