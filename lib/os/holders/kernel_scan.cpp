#include "os/holders/kernel_scan.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>

#include "muster/path.h"

#include "os/error_text.h"
#include "os/holders/proc_files.h"
#include "os/unique_fd.h"

namespace muster::os {
namespace {

class KernelScan {
 public:
  KernelScan(const MountTable& mounts, std::uint64_t own_space, const Wanted& wanted,
             const std::string& prefix)
      : mounts_(mounts), own_space_(own_space), wanted_(wanted), prefix_(prefix) {}

  KernelHolders take() {
    look_at_loop_devices();
    look_at_swap();
    look_at_overlays();
    look_at_mounts();
    look_at_exports();
    return std::move(found_);
  }

 private:
  void add(HeldBy kind, std::string object, const std::string& example, pid_t inside = 0,
           bool possibly = false) {
    Holder holder;
    holder.command = "kernel";
    holder.object = std::move(object);
    holder.held.push_back({kind, 1});
    holder.deleted = without_deleted(example).size() != example.size();
    holder.example = without_deleted(example);
    holder.inside = inside;
    holder.possibly = possibly;
    found_.holders.push_back(std::move(holder));
  }
  void cannot(const char* what, int error) {
    if (error != ENOENT) found_.unseen.push_back({0, 0, {}, what + (": " + error_text(error))});
  }

  void look_at_loop_devices() {
    const std::unique_ptr<DIR, int (*)(DIR*)> devices(::opendir("/sys/block"), &::closedir);
    if (!devices) return cannot("loop devices", errno == ENOENT ? ENOSYS : errno);
    while (const dirent* entry =
               ::readdir(devices.get())) {  // NOLINT(concurrency-mt-unsafe): its own
      const std::string name = entry->d_name;
      if (!name.starts_with("loop")) continue;
      int error = 0;
      auto text = files_.file(::dirfd(devices.get()), (name + "/loop/backing_file").c_str(), error);
      if (error != 0) {
        cannot("loop devices", error);  // ENOENT: it has no file
        continue;
      }
      if (text.ends_with('\n')) text.remove_suffix(1);
      if (wanted_.may_be(text)) add(HeldBy::kLoopDevice, "/dev/" + name, std::string(text));
    }
  }

  void look_at_swap() {
    int error = 0;
    const auto text = files_.file(AT_FDCWD, "/proc/swaps", error);
    if (error != 0) cannot("swap files", error);
    for (std::string& file : swap_files(text)) {
      if (wanted_.may_be(file)) add(HeldBy::kSwapFile, std::string(without_deleted(file)), file);
    }
  }

  // An overlay keeps its layers in use as long as it is mounted, wherever that is.
  void look_at_overlays() {
    std::set<std::uint64_t> seen;
    for (const Mount& mount : mounts_.all()) {
      if (mount.type != "overlay" || !seen.insert(mount.device).second) continue;
      for (const std::string& layer : overlay_layers(mount.options)) {
        const bool relative = !layer.starts_with('/');
        if (!relative && !path_is_under(prefix_, layer)) continue;
        // From which directory a relative one was named, nobody tells.
        add(HeldBy::kOverlayLayer, mount.point, layer, inside(mount), relative);
        break;
      }
    }
  }

  [[nodiscard]] pid_t inside(const Mount& mount) const {
    return mount.space == own_space_ ? 0 : mount.seen_by;
  }

  // Mounts that stay when those of this namespace at and below the path are taken away. Either of
  // the same superblock at another place; or at a place below the path that only another namespace
  // has, of a superblock that this one does not have any more. A mount that follows ours goes when
  // ours goes. A bind mount of a part of the path, as sandboxed services have, holds nothing.
  void look_at_mounts() {
    const auto& ours = wanted_.mounted_below();
    std::set<std::uint64_t> own_devices;
    for (const Mount& mount : mounts_.all()) {
      if (mount.space == own_space_) own_devices.insert(mount.device);
    }
    for (const Mount& mount : mounts_.all()) {
      if (mount.space == own_space_ && path_is_under(prefix_, mount.point)) continue;
      const auto same_superblock = [&](const Mount* one) { return one->device == mount.device; };
      const auto goes_with = [&](const Mount* one) {
        return one->shared != 0 && (mount.shared == one->shared || mount.master == one->shared);
      };
      if (std::any_of(ours.begin(), ours.end(), goes_with)) continue;
      const Mount* parent = mounts_.find(mount.parent);
      const bool survives = !own_devices.contains(mount.device) && parent != nullptr &&
                            wanted_.is(mount.point, parent->id);
      if (survives || std::any_of(ours.begin(), ours.end(), same_superblock)) {
        add(HeldBy::kMount, mount.point, mount.point, inside(mount));
      }
    }
  }

  void look_at_exports() {
    int error = 0;
    const auto text = files_.file(AT_FDCWD, "/proc/fs/nfsd/exports", error);
    if (error != 0) return cannot("nfsd's exports", error);
    for (std::string& directory : nfs_exports(text)) {
      if (path_is_under(prefix_, directory)) {
        add(HeldBy::kNfsExport, directory, directory);
      } else if (path_is_under(directory, prefix_)) {
        add(HeldBy::kNfsExport, directory, directory, 0, true);
      }
    }
  }

  const MountTable& mounts_;
  std::uint64_t own_space_;
  const Wanted& wanted_;
  const std::string& prefix_;
  ProcFiles files_;
  KernelHolders found_;
};

}  // namespace

// "Filename  Type  Size  Used  Priority", then "/swap\040file   file  8188  0  -2".
std::vector<std::string> swap_files(std::string_view swaps) {
  std::vector<std::string> files;
  for_each_line(swaps, [&](std::string_view line) {
    if (!line.starts_with('/')) return;
    const auto name = line.substr(0, line.find_first_of(" \t"));
    const auto type = line.find_first_not_of(" \t", name.size());
    if (type == std::string_view::npos || !line.substr(type).starts_with("file")) return;
    files.push_back(decode_octal(name));
  });
  return files;
}

// "/srv/data\t192.0.2.0/24(rw,...)"; "#" begins a comment.
std::vector<std::string> nfs_exports(std::string_view exports) {
  std::vector<std::string> directories;
  for_each_line(exports, [&](std::string_view line) {
    if (!line.starts_with('/')) return;
    directories.push_back(decode_octal(line.substr(0, line.find_first_of(" \t"))));
  });
  return directories;
}

KernelHolders scan_kernel(const MountTable& mounts, std::uint64_t own_space, const Wanted& wanted,
                          const std::string& prefix) {
  return KernelScan(mounts, own_space, wanted, prefix).take();
}

}  // namespace muster::os
