// The functions of the C library that are not safe with threads: there is one that asks.
// NOLINTBEGIN(concurrency-mt-unsafe)
#include "config/accounts.h"

#include <algorithm>
#include <grp.h>
#include <pwd.h>
#include <vector>

#include "muster/path.h"

namespace muster::daemon {

std::optional<uid_t> find_user(const std::string& name) {
  const ::passwd* found = ::getpwnam(name.c_str());
  if (found == nullptr) return std::nullopt;
  return found->pw_uid;
}

std::optional<gid_t> find_group(const std::string& name) {
  const ::group* found = ::getgrnam(name.c_str());
  if (found == nullptr) return std::nullopt;
  return found->gr_gid;
}

std::string user_name(uid_t uid) {
  const ::passwd* found = ::getpwuid(uid);
  return found == nullptr ? std::to_string(uid) : escape_bytes(found->pw_name);
}

std::string group_name(gid_t gid) {
  const ::group* found = ::getgrgid(gid);
  return found == nullptr ? std::to_string(gid) : escape_bytes(found->gr_name);
}

bool is_member(uid_t uid, gid_t gid) {
  const ::passwd* found = ::getpwuid(uid);
  if (found == nullptr) return false;
  constexpr int kUsual = 64;
  std::vector<gid_t> groups(kUsual);
  int count = kUsual;
  const std::string name = found->pw_name;
  const gid_t primary = found->pw_gid;
  if (::getgrouplist(name.c_str(), primary, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(name.c_str(), primary, groups.data(), &count) < 0) return false;
  }
  groups.resize(static_cast<std::size_t>(count));
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

}  // namespace muster::daemon
// NOLINTEND(concurrency-mt-unsafe)
