#include "sdk/connect_text.h"

#include <cstdio>
#include <filesystem>
#include <grp.h>
#include <memory>
#include <optional>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "muster/path.h"

namespace muster {
namespace {

// A line that is longer (a group of thousands) ends the search: the number is shown.
constexpr std::size_t kLongestEntry = 64 * 1024;

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

// From the files themselves: the name service may take its time, and this is a daemon's loop. Names
// that stand elsewhere are not known here.
std::string group_name(gid_t gid) {
  const File file(std::fopen("/etc/group", "re"), std::fclose);
  ::group entry{};
  ::group* found = nullptr;
  std::vector<char> strings(kLongestEntry);
  while (file && ::fgetgrent_r(file.get(), &entry, strings.data(), strings.size(), &found) == 0) {
    if (entry.gr_gid == gid) return entry.gr_name;
  }
  return {};
}

struct User {
  std::string name;
  gid_t group = 0;
};

std::optional<User> find_user(uid_t uid) {
  const File file(std::fopen("/etc/passwd", "re"), std::fclose);
  ::passwd entry{};
  ::passwd* found = nullptr;
  std::vector<char> strings(kLongestEntry);
  while (file && ::fgetpwent_r(file.get(), &entry, strings.data(), strings.size(), &found) == 0) {
    if (entry.pw_uid == uid) return User{entry.pw_name, entry.pw_gid};
  }
  return std::nullopt;
}

// Of the socket, or of the directory that hides it.
std::optional<SocketAccess> access_of(const std::string& socket) {
  struct stat found {};
  if (::stat(socket.c_str(), &found) == 0) {
    return SocketAccess{found.st_uid, found.st_gid, found.st_mode};
  }
  const std::string dir = std::filesystem::path(socket).parent_path();
  if (::stat(dir.c_str(), &found) != 0) return std::nullopt;
  // What lets a group search a directory is what lets it write to a socket.
  const mode_t search = found.st_mode & S_IXGRP;
  return SocketAccess{found.st_uid, found.st_gid, search != 0 ? S_IWGRP : mode_t{0}};
}

}  // namespace

std::string permission_remedy(const SocketAccess& access, uid_t uid) {
  const bool is_owners_own = access.group == 0;
  if ((access.mode & S_IWGRP) == 0 || is_owners_own) {
    return "[sockets] in the broker's configuration says who may";
  }
  const std::string group = group_name(access.group);
  const std::string group_text = group.empty() ? std::to_string(access.group) : group;
  const std::optional<User> user = find_user(uid);
  const std::string user_text = user ? user->name : "USER";
  return "it belongs to the group " + group_text + ": add the user to it (usermod -aG " +
         group_text + " " + user_text + ") and start this program again";
}

std::string why_not_connected(const std::error_code& error, const std::string& socket) {
  const std::string name = escape_bytes(socket);
  if (error != std::errc::permission_denied) {
    return "there is no broker at " + name + ": " + error.message();
  }
  const auto access = access_of(socket);
  return "no permission to connect to " + name + ": " +
         permission_remedy(access.value_or(SocketAccess{}), ::geteuid());
}

}  // namespace muster
