#include "musterd/config/accounts.h"

#include <algorithm>
#include <cerrno>
#include <grp.h>
#include <pwd.h>
#include <vector>

#include "muster/path.h"

#include "os/error_text.h"

namespace muster::daemon {
namespace {

// A group may have very many members.
constexpr std::size_t kMostAccountBytes = 16 << 20;

// Calls ask(entry, text, size, &found) with room enough. `error` as getpwnam_r(3) has it: 0 with
// nothing found is "does not exist", anything else is "cannot be said".
template <class Entry, class Ask>
const Entry* ask_accounts(Entry& entry, std::vector<char>& text, int& error, Ask ask) {
  text.resize(4096);
  for (;;) {
    Entry* found = nullptr;
    error = ask(&entry, text.data(), text.size(), &found);
    if (error == EINTR) continue;
    if (error != ERANGE || text.size() >= kMostAccountBytes) return error == 0 ? found : nullptr;
    text.resize(text.size() * 2);
  }
}

Lookup lookup_of(std::optional<id_t> id, int error) {
  if (error == 0) return {id, {}};
  return {std::nullopt, os::error_text(error)};
}

}  // namespace

Lookup find_user(const std::string& name) {
  passwd entry{};
  std::vector<char> text;
  int error = 0;
  const passwd* found = ask_accounts(
      entry, text, error, [&](passwd* into, char* bytes, std::size_t size, passwd** result) {
        return ::getpwnam_r(name.c_str(), into, bytes, size, result);
      });
  return lookup_of(found == nullptr ? std::nullopt : std::optional<id_t>(found->pw_uid), error);
}

Lookup find_group(const std::string& name) {
  group entry{};
  std::vector<char> text;
  int error = 0;
  const group* found = ask_accounts(
      entry, text, error, [&](group* into, char* bytes, std::size_t size, group** result) {
        return ::getgrnam_r(name.c_str(), into, bytes, size, result);
      });
  return lookup_of(found == nullptr ? std::nullopt : std::optional<id_t>(found->gr_gid), error);
}

std::string user_name(uid_t uid) {
  passwd entry{};
  std::vector<char> text;
  int error = 0;
  const passwd* found = ask_accounts(
      entry, text, error, [&](passwd* into, char* bytes, std::size_t size, passwd** result) {
        return ::getpwuid_r(uid, into, bytes, size, result);
      });
  return found == nullptr ? std::to_string(uid) : escape_bytes(found->pw_name);
}

std::string group_name(gid_t gid) {
  group entry{};
  std::vector<char> text;
  int error = 0;
  const group* found = ask_accounts(
      entry, text, error, [&](group* into, char* bytes, std::size_t size, group** result) {
        return ::getgrgid_r(gid, into, bytes, size, result);
      });
  return found == nullptr ? std::to_string(gid) : escape_bytes(found->gr_name);
}

bool is_member(uid_t uid, gid_t gid) {
  passwd entry{};
  std::vector<char> text;
  int error = 0;
  const passwd* found = ask_accounts(
      entry, text, error, [&](passwd* into, char* bytes, std::size_t size, passwd** result) {
        return ::getpwuid_r(uid, into, bytes, size, result);
      });
  if (found == nullptr) return false;
  constexpr int kUsual = 64;
  std::vector<gid_t> groups(kUsual);
  int count = kUsual;
  if (::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) < 0) return false;
  }
  groups.resize(static_cast<std::size_t>(count));
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

}  // namespace muster::daemon
