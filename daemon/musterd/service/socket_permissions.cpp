#include "musterd/service/socket_permissions.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fmt/format.h>

#include "muster/path.h"

#include "musterd/config/accounts.h"

namespace muster::daemon {
namespace {

constexpr mode_t kPermissions = 07777;

class Judge {
 public:
  explicit Judge(const SocketPermissions& socket) : socket_(socket) {}

  [[nodiscard]] bool admits_everybody() const { return (socket_.mode & S_IWOTH) != 0; }
  [[nodiscard]] bool admits_group(gid_t gid) const {
    return admits_everybody() || ((socket_.mode & S_IWGRP) != 0 && gid == socket_.group);
  }
  [[nodiscard]] bool admits_user(uid_t uid) const {
    if (uid == 0 || admits_everybody()) return true;
    if (uid == socket_.owner) return (socket_.mode & S_IWUSR) != 0;
    return (socket_.mode & S_IWGRP) != 0 && is_member(uid, socket_.group);
  }

  // Of the rule's people, those who are kept out: "group ops, user alice".
  [[nodiscard]] std::string kept_out(const core::Principals& who) const {
    std::vector<std::string> names;
    if (who.everybody && !admits_everybody()) names.emplace_back("everybody");
    for (const uid_t uid : who.uids) {
      if (!admits_user(uid)) names.push_back("user " + user_name(uid));
    }
    for (const gid_t gid : who.gids) {
      if (!admits_group(gid)) names.push_back("group " + group_name(gid));
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }

 private:
  const SocketPermissions& socket_;
};

std::string shown(const SocketPermissions& socket) {
  return fmt::format("{} (mode {:04o}, user {}, group {})", escape_bytes(socket.path), socket.mode,
                     user_name(socket.owner), group_name(socket.group));
}

}  // namespace

std::optional<SocketPermissions> socket_permissions(int socket, core::Lane lane) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  constexpr std::size_t kPath = offsetof(sockaddr_un, sun_path);
  if (size <= kPath || address.sun_path[0] == '\0') return std::nullopt;
  const std::string path(address.sun_path, ::strnlen(address.sun_path, size - kPath));
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return SocketPermissions{lane, path, found.st_uid, found.st_gid, found.st_mode & kPermissions};
}

std::vector<std::string> permission_problems(const core::AccessPolicy& policy,
                                             const SocketPermissions& socket) {
  const Judge judge(socket);
  const std::string_view name = socket.lane == core::Lane::kBackend ? "backend" : "control";
  std::vector<std::string> problems;
  bool somebody = false;  // besides those of the built-in rule
  for (const core::ConnectRule& rule : policy.connect) {
    if (rule.lane != socket.lane || rule.effect != core::Effect::kAllow) continue;
    if (rule.origin.line == 0) continue;
    somebody = true;
    const std::string kept_out = judge.kept_out(rule.who);
    if (kept_out.empty()) continue;
    problems.push_back(fmt::format(
        "{} lets {} connect, but {} does not: set [sockets] {}_group or {}_mode, or SocketGroup= "
        "and SocketMode= of its unit",
        rule.origin.to_string(), kept_out, shown(socket), name, name));
  }
  if (!somebody && (socket.mode & (S_IWGRP | S_IWOTH)) != 0) {
    problems.push_back(fmt::format(
        "{} lets in more than root and its owner, but no rule does: whoever else connects is "
        "refused until a [[policy.{}]] rule allows it something",
        shown(socket), socket.lane == core::Lane::kBackend ? "register" : "control"));
  }
  return problems;
}

std::vector<std::string> permission_problems(const core::AccessPolicy& policy,
                                             const std::vector<SocketPermissions>& sockets) {
  std::vector<std::string> all;
  for (const SocketPermissions& socket : sockets) {
    for (std::string& problem : permission_problems(policy, socket)) {
      all.push_back(std::move(problem));
    }
  }
  return all;
}

}  // namespace muster::daemon
