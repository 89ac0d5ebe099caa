// musterctl has one thread: the functions of the C library that want that are good enough.
// NOLINTBEGIN(concurrency-mt-unsafe)
#include "musterctl/policy_text.h"

#include <charconv>
#include <grp.h>
#include <limits>
#include <optional>
#include <pwd.h>

#include "muster/path.h"

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

}  // namespace

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

}  // namespace muster::ctl
// NOLINTEND(concurrency-mt-unsafe)
