#include "os/holders/bound_sockets.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_set>
#include <utility>

#include "os/error_text.h"
#include "os/holders/proc_files.h"
#include "os/holders/proc_text.h"

namespace muster::os {
namespace {

// "00000000a54f9c9d: 00000002 00000000 00010000 0001 01 58779758 /path": inode and path. The inode
// is 0 while nobody has accepted the connection. Nothing for what is no such line.
std::optional<std::pair<std::uint64_t, std::string_view>> inode_and_path(std::string_view line) {
  constexpr int kInodeField = 6;  // from 0
  std::string_view field;
  for (int number = 0; number <= kInodeField; ++number) {
    const auto begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return std::nullopt;
    const auto end = std::min(line.find(' ', begin), line.size());
    field = line.substr(begin, end - begin);
    if (number == 0 && !field.ends_with(':')) return std::nullopt;
    line.remove_prefix(end);
  }
  if (!line.empty()) line.remove_prefix(1);
  return std::pair(as_number(field), line);
}

}  // namespace

bool BoundSockets::tells_place(std::string_view path) {
  return path.starts_with('/') && !path.starts_with("/proc/");
}

void BoundSockets::add(std::string_view table, const Wanted& wanted) {
  bool is_first = true;
  std::uint64_t inode = 0;
  std::string path;
  const auto keep = [&] {
    const bool has_name = inode != 0 && !path.empty() && path.front() != '@';
    if (has_name && (!tells_place(path) || wanted.may_be(path))) paths_.emplace(inode, path);
  };
  for_each_line(table, [&](std::string_view line) {
    const auto socket = inode_and_path(line);
    if (!socket && !is_first) path.append("\n").append(line);  // of a name with a newline in it
    if (!socket) return;
    if (!is_first) keep();
    is_first = false;
    inode = socket->first;
    path = socket->second;
  });
  keep();
}

const std::string* BoundSockets::find(std::uint64_t inode) const {
  const auto at = paths_.find(inode);
  return at == paths_.end() ? nullptr : &at->second;
}

BoundSockets bound_sockets_of(int proc, const std::vector<pid_t>& processes, const Wanted& wanted,
                              std::vector<Unseen>& unseen) {
  BoundSockets sockets;
  ProcFiles files;
  std::unordered_set<std::uint64_t> spaces;
  for (const pid_t pid : processes) {
    const std::string at = std::to_string(pid);
    const auto space = namespace_inode(files.link(proc, (at + "/ns/net").c_str()));
    // Who cannot be asked for it cannot be looked at either: the scan of that process says so.
    if (space == 0 || !spaces.insert(space).second) continue;
    int error = 0;
    const auto table = files.file(proc, (at + "/net/unix").c_str(), error);
    if (error == 0) {
      sockets.add(table, wanted);
    } else if (error == ENOENT || error == ESRCH) {
      spaces.erase(space);  // it has exited: another one may tell
    } else {
      unseen.push_back({pid, 0, {}, "bound sockets of its network: " + error_text(error)});
    }
  }
  return sockets;
}

}  // namespace muster::os
