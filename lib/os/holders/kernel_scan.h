// What the kernel itself has in use below the wanted path: rows of a scan with pid 0.
//
// Any thread. Reads /sys/block, /proc/swaps, /proc/fs/nfsd and the mount tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "muster/holders.h"

#include "os/holders/mount_table.h"
#include "os/holders/wanted.h"

namespace muster::os {

struct KernelHolders {
  std::vector<Holder> holders;
  std::vector<Unseen> unseen;
};

[[nodiscard]] KernelHolders scan_kernel(const MountTable& mounts, std::uint64_t own_space,
                                        const Wanted& wanted, const std::string& prefix);

// --- the parts that read a text

// The files of a /proc/swaps.
[[nodiscard]] std::vector<std::string> swap_files(std::string_view swaps);
// The directories of a /proc/fs/nfsd/exports.
[[nodiscard]] std::vector<std::string> nfs_exports(std::string_view exports);

}  // namespace muster::os
