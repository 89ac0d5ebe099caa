// Who is at the other end of a socket, and what program that is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <system_error>
#include <vector>

#include "os/unique_fd.h"

namespace muster::os {

// What people want to know of a process: which program it is, and since when it runs.
//
// Any thread. Reads /proc: about ten microseconds.
struct ProcessFacts {
  std::string exe;          // bytes, as the kernel gives them; empty where it could not be read
  std::string exe_problem;  // why it could not: "permission denied", "the process has exited"
  std::uint64_t started_unix_ms = 0;  // 0: not known
};

// REQUIRES: `pidfd` is of the process that had `pid`. Whatever is read while that process lives is
// of that process: its pid cannot be used again before it exited, and the pidfd tells of that.
[[nodiscard]] ProcessFacts facts_of(pid_t pid, int pidfd);

// The name of the process that has that pid now, as /proc/PID/comm has it: bytes. Empty where it
// cannot be read. Only for people: it may be another process by now.
[[nodiscard]] std::string command_of(pid_t pid);

// Who is at the other end of a Unix socket: what the kernel says, never what the peer says.
//
// Any thread.

// One process, never confused with a later one of the same pid.
struct ProcessIdentity {
  pid_t pid = 0;  // 0: it lives in a pid namespace that cannot be seen from here
  // The inode of its pidfd where pidfds have inodes of their own (Linux 6.9), else the start time
  // of a process that can be seen; 0 where neither could be had.
  std::uint64_t unique = 0;

  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

struct Peer {
  ProcessIdentity process;
  uid_t uid = 0;
  gid_t gid = 0;
  // Becomes readable when the process exits. Empty when the process is gone already (`exited`),
  // when the descriptors ran out (`trouble`), or where the kernel has no SO_PEERPIDFD and the pid
  // cannot be seen.
  UniqueFd pidfd;
  bool exited = false;
  std::error_code trouble;
};

// The process that connected `socket`, as it was when it connected. Nothing when the socket has no
// credentials to show (then `error` says why).
[[nodiscard]] std::optional<Peer> peer_of(int socket, std::error_code& error);

// SO_PEERGROUPS (Linux 4.13): the supplementary groups that it had when it connected. None where
// the kernel does not tell: then no rule about them matches.
[[nodiscard]] std::vector<gid_t> groups_of_peer(int socket);

// --- the parts, each with what older kernels lack

// SO_PEERCRED alone: pid, uid and gid. Its process is not told from others of the same pid yet.
[[nodiscard]] std::optional<Peer> credentials_of(int socket, std::error_code& error);
// Adds what the pidfd tells to what credentials_of() told.
void find_process(int socket, Peer& peer);

// SO_PEERPIDFD (Linux 6.5): exactly the process that connected, even if its pid was reused.
[[nodiscard]] UniqueFd pidfd_of_peer(int socket, std::error_code& error);
// pidfd_open(2): whoever has that pid now.
[[nodiscard]] UniqueFd pidfd_of_pid(pid_t pid, std::error_code& error);
// The pidfd's inode, if that tells processes apart on this kernel.
[[nodiscard]] std::optional<std::uint64_t> pidfd_inode(int pidfd);
// Field 22 of /proc/PID/stat: when the process started, in clock ticks since boot.
[[nodiscard]] std::optional<std::uint64_t> start_time(pid_t pid);
// The `Pid:` of the pidfd's fdinfo: -1 once the process was reaped, so that its pid may name
// somebody else; 0 when it cannot be seen from here. Look at it before trusting /proc/PID.
[[nodiscard]] std::optional<pid_t> pid_of_pidfd(int pidfd);

// Makes a ProcessIdentity the way peer_of() does. `pidfd` may be empty (-1), `pid` 0.
[[nodiscard]] ProcessIdentity identify(pid_t pid, int pidfd);

}  // namespace muster::os
