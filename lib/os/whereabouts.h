// Where a pid and a start time mean what they meant when they were written down.
//
// Any thread; reads /proc.
#pragma once

#include <cstdint>
#include <string>

namespace muster::os {

// The inodes of a process's pid and time namespaces. The inode of one that is gone may be given to
// another one: then its processes are gone, too.
struct Namespaces {
  std::uint64_t pid = 0;  // 0: not known
  std::uint64_t time = 0;

  friend bool operator==(const Namespaces&, const Namespaces&) = default;
};
[[nodiscard]] Namespaces current_namespaces();
// This boot's, as the kernel has it; empty where it does not tell.
[[nodiscard]] std::string boot_id();

struct Whereabouts {
  std::string boot_id;
  Namespaces namespaces;
};
[[nodiscard]] Whereabouts current_whereabouts();

// Whether processes of `then` may run in `here`: not after another boot.
[[nodiscard]] bool may_outlive(const Whereabouts& then, const Whereabouts& here);
// Whether nothing is known in `here` of processes of `then`: its pids are of another namespace. One
// that is not known counts as the same.
[[nodiscard]] bool is_elsewhere(const Namespaces& then, const Namespaces& here);

}  // namespace muster::os
