// Who has something below a path in use: what a scan of the host found, and what it could not see.
//
// Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "muster/backend_key.h"

namespace muster {

enum class HeldBy : std::uint8_t {
  kDescriptor,        // open for reading or writing
  kPathDescriptor,    // opened with O_PATH
  kMapping,           // mapped into memory
  kExecutable,        // the program that runs
  kWorkingDirectory,  //
  kRootDirectory,     //
  kRingFile,          // registered with an io_uring
  kBoundSocket,       // a Unix socket that is bound to a path
  kInFlight,          // on its way over a Unix socket: which file it is nobody tells
  kLoopDevice,        // the kernel's from here on
  kSwapFile,
  kOverlayLayer,
  kMount,
  kNfsExport,
};
inline constexpr std::size_t kHeldByKinds = 14;
// "descriptor", "mapping", "working directory": for people and JSON.
[[nodiscard]] std::string_view to_string(HeldBy kind);

struct Held {
  HeldBy kind{};
  std::uint64_t count = 0;
  friend bool operator==(const Held&, const Held&) = default;
};

// One process, or one thing of the kernel.
struct Holder {
  pid_t pid = 0;              // 0: the kernel
  std::uint64_t started = 0;  // clock ticks since boot: tells processes with one pid apart
  uid_t uid = 0;
  std::string command;             // /proc/PID/comm: bytes
  std::string unit;                // "nginx.service", "container 3f2a..": empty where there is none
  std::optional<uid_t> unit_user;  // whose service manager has that unit; none: the host's
  // For the kernel: "/dev/loop0", the swap file, the mount point, the exported directory.
  std::string object;
  pid_t inside = 0;        // a mount of another namespace: a process that lives in it
  std::vector<Held> held;  // each kind once, in the order of HeldBy
  std::string example;     // one path as that process would spell it: bytes; may be empty
  bool deleted = false;    // the example has no name any more
  // It cannot be said whether what it has is below the path.
  bool possibly = false;
  std::optional<BackendKey> backend;  // as which that process is registered: the broker knows

  [[nodiscard]] std::uint64_t count() const;

  friend bool operator==(const Holder&, const Holder&) = default;
};

// What could not be looked at.
struct Unseen {
  pid_t pid = 0;  // 0: not of one process, then `what` says all
  uid_t uid = 0;
  std::string command;
  std::string what;  // "its descriptors: permission denied"

  friend bool operator==(const Unseen&, const Unseen&) = default;
};

enum class HolderVerdict : std::uint8_t {
  kClear,    // everything was seen, and nothing was found
  kHeld,     //
  kUnknown,  // nothing was found, but not everything could be seen
};
[[nodiscard]] std::string_view to_string(HolderVerdict verdict);

// Regular files, asked by fcntl(F_SETLEASE, F_WRLCK): it succeeds only if nobody else has the file
// open, whatever the way (but for O_PATH). It does not say who has.
struct LeaseResult {
  std::uint64_t files = 0;    // regular files that were found below the path
  std::uint64_t proven = 0;   // nobody else has them open
  std::uint64_t busy = 0;     // somebody has
  std::uint64_t refused = 0;  // not ours to ask, or the file system has no leases
  std::string busy_example;   // bytes
  std::string refused_why;    // "permission denied", of the first that was refused
  bool complete = true;       // false: the walk ended at a bound, or not all could be read
  std::string incomplete_why;

  // Every regular file that has a name below the path is free.
  [[nodiscard]] bool all_proven() const { return complete && proven == files; }

  friend bool operator==(const LeaseResult&, const LeaseResult&) = default;
};

struct HolderScan {
  std::string prefix;
  // One sentence when the scan could not be made at all: then the verdict is unknown.
  std::string problem;
  HolderVerdict verdict = HolderVerdict::kUnknown;
  std::vector<Holder> holders;     // those that hold for sure first, then by count
  std::uint64_t more_holders = 0;  // above max_holders
  std::vector<Unseen> unseen;
  std::uint64_t more_unseen = 0;
  LeaseResult leases;
  std::uint64_t processes = 0;    // that were looked at
  std::uint64_t descriptors = 0;  // of them
  std::uint64_t at_unix_ms = 0;   // when it began
  std::uint64_t took_us = 0;

  // A file is open, and nobody was found who can have it.
  [[nodiscard]] bool held_by_unknown() const;

  friend bool operator==(const HolderScan&, const HolderScan&) = default;
};

}  // namespace muster
