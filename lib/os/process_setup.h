// What a program does to its own process before it works.
#pragma once

#include <cstdint>
#include <system_error>

namespace muster::os {

// What a process inherits from whoever started it, and must not depend on: the signal mask and
// ignored signals, umask, small limits, closed standard descriptors, descriptors that it knows
// nothing of, the working directory.
enum class ProgramKind {
  kDaemon,   // depends on nothing of its starter but the environment
  kCommand,  // one of several in a shell: what nohup(1) and job control set up stays
};

// Both kinds: no signal is blocked, SIGCHLD is not ignored, descriptors 0 to 2 are open. One that
// was closed becomes one that fails to be written (standard output) or has nothing to say and takes
// everything (the others), so that no file or socket of the program gets its number.
//
// A daemon besides: no signal is ignored but SIGPIPE and SIGXFSZ (a reader that is gone and a file
// that may not grow are errors of write()), umask 077, at least 8 MiB of stack for this thread and
// the ones it starts (as far as the hard limit allows), and no descriptor above 2 but the sockets
// that a service manager passes (sd_listen_fds(3)).
//
// Never fails: what the kernel refuses stays as it was. REQUIRES: the first thing in main(), before
// anything opens a descriptor or starts a thread.
void take_over_process(ProgramKind kind) noexcept;

// Moves to "/": a daemon must not keep the file system busy that it was started in. REQUIRES:
// relative paths are resolved.
void leave_working_directory() noexcept;

// How many descriptors this process may have.
struct DescriptorLimit {
  std::uint64_t now = 0;     // in force
  std::uint64_t before = 0;  // what it was
  std::error_code error;     // why it could not be raised, if it could not
};

// The soft RLIMIT_NOFILE as it is now; the largest number there is when it cannot be had.
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;
// How many descriptors this process has open. Reads a directory: not for a hot path. 0 when /proc
// is not there.
[[nodiscard]] std::uint64_t count_open_descriptors();

// Raises the soft RLIMIT_NOFILE to the hard limit: each backend costs one descriptor, and one more
// for its process. Call it before threads are started. Programs that are started later inherit
// it, and those that use select(2) break above 1024: put `before` back for them.
DescriptorLimit raise_descriptor_limit() noexcept;

}  // namespace muster::os
