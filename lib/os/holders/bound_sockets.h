// Unix sockets that are bound to a path: as long as such a socket is open, its directory entry and
// its mount are in use, even when the name was removed.
//
// Filled once for a scan, then only read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unordered_map>
#include <vector>

#include "muster/holders.h"

#include "os/holders/wanted.h"

namespace muster::os {

class BoundSockets {
 public:
  // Keeps of a /proc/PID/net/unix what may be below the wanted path.
  void add(std::string_view table, const Wanted& wanted);
  // The path that the socket was bound to, as it was given to bind(2); nullptr: none that matters.
  [[nodiscard]] const std::string* find(std::uint64_t inode) const;
  // Whether such a path says where the socket is. A relative one does not, nor one through /proc.
  [[nodiscard]] static bool tells_place(std::string_view path);

 private:
  std::unordered_map<std::uint64_t, std::string> paths_;  // by the socket's inode
};

// Of all network namespaces. What cannot be read goes to `unseen`.
[[nodiscard]] BoundSockets bound_sockets_of(int proc, const std::vector<pid_t>& processes,
                                            const Wanted& wanted, std::vector<Unseen>& unseen);

}  // namespace muster::os
