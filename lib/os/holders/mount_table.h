// The mounts of all mount namespaces, and how a path is spelled through each of them.
//
// Any thread, one at a time for each object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unordered_map>
#include <vector>

namespace muster::os {

struct Mount {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  std::uint64_t device = 0;  // major << 32 | minor of the superblock
  std::string root;          // which directory of the superblock is mounted
  std::string point;         // where, from the root of its namespace
  std::string type;          // "ext4"
  std::string options;       // of the superblock
  std::uint64_t shared = 0;  // its peer group; 0: none
  std::uint64_t master = 0;  // the peer group that it follows; 0: none
  std::uint64_t space = 0;   // inode of its mount namespace
  pid_t seen_by = 0;         // a process that lives there
};

// The lines of a /proc/PID/mountinfo; those that are not of its form are left out.
[[nodiscard]] std::vector<Mount> parse_mountinfo(std::string_view text);

// /proc writes blanks, newlines and backslashes of paths as "\040" and so on.
[[nodiscard]] std::string decode_octal(std::string_view text);

// "/a" and "b/c" give "/a/b/c"; either may be "/" or empty.
[[nodiscard]] std::string join_paths(std::string_view directory, std::string_view below);
// What is left of `path` below `directory`, without a slash before it; nothing when it is not
// below.
[[nodiscard]] std::optional<std::string_view> below(std::string_view directory,
                                                    std::string_view path);

class MountTable {
 public:
  // Adds what a process of that namespace sees. `root`: its root directory, as its link says.
  void add(std::string_view mountinfo, std::uint64_t space, std::string_view root, pid_t seen_by);

  [[nodiscard]] const Mount* find(std::uint64_t id) const;
  // The mount that a path of that namespace lies on: the last one among the longest.
  [[nodiscard]] const Mount* covering(std::uint64_t space, std::string_view path) const;
  // Whether some process of that namespace was asked for its mounts.
  [[nodiscard]] bool has_space(std::uint64_t space) const;
  [[nodiscard]] const std::vector<Mount>& all() const { return mounts_; }

 private:
  std::vector<Mount> mounts_;
  std::unordered_map<std::uint64_t, std::size_t> by_id_;
};

}  // namespace muster::os
