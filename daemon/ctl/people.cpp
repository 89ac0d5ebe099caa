#include "ctl/people.h"

#include <map>
#include <memory>
#include <pwd.h>
#include <vector>

#include "muster/path.h"

namespace muster::ctl {
namespace {

std::string look_up(uid_t uid) {
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return escape_bytes(found->pw_name);
}

}  // namespace

UserName user_names_of_system() {
  auto known = std::make_shared<std::map<uid_t, std::string>>();
  return [known](uid_t uid) {
    const auto at = known->find(uid);
    return at != known->end() ? at->second : known->emplace(uid, look_up(uid)).first->second;
  };
}

std::string shown_user(uid_t uid, const UserName& name) {
  const std::string known = name(uid);
  const std::string number = std::to_string(uid);
  return known.empty() ? number : known + " (" + number + ')';
}

std::string shown_process(pid_t pid, uid_t uid, const UserName& name) {
  std::string text;
  text = pid > 0 ? "pid " + std::to_string(pid) + ", " : "pid not visible, ";
  text += "uid " + std::to_string(uid);
  const std::string known = name(uid);
  if (!known.empty()) text += ' ' + known;
  return text;
}

}  // namespace muster::ctl
