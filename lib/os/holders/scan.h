// Who has something below a path in use: one look at the whole host, without a broker.
//
// What is looked at: the descriptors, working directory, root directory, executable and mappings of
// every process and of every thread that does not share its process's; files registered with an
// io_uring; descriptors in flight over Unix sockets; loop devices, swap files, overlay layers,
// mounts of other namespaces and nfsd's exports. Files are matched by superblock and path inside
// it, so bind mounts, containers, chroots and deleted files match, too. No server is asked for
// that: a dead one does not hold up the scan. The result lists what could not be looked at, and is
// not "clear" then.
//
// Any thread. Blocks: some microseconds for each descriptor of the host (the bench has the row
// "scan for holders"), so never on a loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "muster/holders.h"

#include "os/holders/leases.h"

namespace muster::os {

struct ScanBounds {
  std::size_t max_holders = 1'000;  // rows; what is above is counted alone
  std::size_t max_unseen = 100;
  bool without_self = false;  // leave out the process that scans
  // The inode of the mount namespace that the path is meant in. One that is not this process's is a
  // `problem`: the path may lead elsewhere here. 0: this process's.
  std::uint64_t mount_namespace = 0;
  LeaseBounds leases;
};

// REQUIRES: `prefix` is absolute and lexically normal (normalize_path_prefix()). It is the path as
// this process's mount namespace has it; it need not exist. A prefix with a symbolic link in it is
// a `problem`: what the kernel names would not match.
[[nodiscard]] HolderScan scan_holders(const std::string& prefix, const ScanBounds& bounds = {});

// Of this process, as ScanBounds has it; 0 where /proc cannot be read.
[[nodiscard]] std::uint64_t own_mount_namespace();

}  // namespace muster::os
