#include "os/holders/scan.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <iterator>
#include <linux/openat2.h>
#include <list>
#include <set>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>
#include <utility>

#include "muster/text.h"

#include "os/error_text.h"
#include "os/holders/bound_sockets.h"
#include "os/holders/kernel_scan.h"
#include "os/holders/mount_table.h"
#include "os/holders/process_scan.h"
#include "os/holders/wanted.h"
#include "os/unique_fd.h"

namespace muster::os {
namespace {

constexpr std::size_t kThreads = 4;
constexpr std::size_t kProcessesOfAThread = 16;  // for fewer, starting it costs more than it saves
// On a host that starts hundreds of processes each second the third round finds nobody new.
constexpr int kRounds = 32;
constexpr std::uint64_t kFirstPidSpace = 0xEFFFFFFC;  // PROC_PID_INIT_INO: the host's own

// File systems that answer from this machine. Another may wait for a server or a stopped process,
// so nothing on it is opened.
bool answers_here(std::string_view type) {
  constexpr std::array kTypes{"ext2",    "ext3", "ext4",     "xfs",  "btrfs", "tmpfs",
                              "overlay", "f2fs", "bcachefs", "vfat", "ramfs", "rootfs"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// Descriptors are passed on all the time, and have arrived a moment later: then another scan finds
// who has them.
constexpr int kLooks = 3;
constexpr std::chrono::milliseconds kBetweenLooks{50};

bool is_only_in_flight(const HolderScan& scan) {
  const auto in_flight = [](const Holder& one) {
    return one.held.size() == 1 && one.held[0].kind == HeldBy::kInFlight;
  };
  return !scan.holders.empty() && scan.leases.busy == 0 &&
         std::all_of(scan.holders.begin(), scan.holders.end(), in_flight);
}

class HostScan {
 public:
  HostScan(const std::string& prefix, const ScanBounds& bounds) : bounds_(bounds) {
    scan_.prefix = prefix;
  }

  HolderScan run() {
    const auto begin = std::chrono::steady_clock::now();
    scan_.at_unix_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                       std::chrono::system_clock::now().time_since_epoch())
                                       .count());
    look();
    scan_.took_us =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                       std::chrono::steady_clock::now() - begin)
                                       .count());
    return std::move(scan_);
  }

 private:
  void look() {
    const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    ProcFiles files;
    const auto space = proc ? namespace_inode(files.link(proc.get(), "self/ns/mnt")) : 0;
    if (space == 0) {
      scan_.problem = "/proc cannot be read: " + error_text(errno);
      return;
    }
    if (bounds_.mount_namespace != 0 && bounds_.mount_namespace != space) {
      scan_.problem =
          "the path is one of another mount namespace than that of the program that looks: run "
          "musterctl holders there as root";
      return;
    }
    const auto processes = processes_of(proc.get());
    const MountTable mounts = mounts_of(proc.get(), processes);
    const Wanted wanted(mounts, space, scan_.prefix);
    look_for_limits(proc.get(), files, mounts, space, wanted);
    ask_for_leases(mounts, space);
    if (!scan_.problem.empty()) return;

    const KernelHolders kernel = scan_kernel(mounts, space, wanted, scan_.prefix);
    // Where a lease has the answer, no file can hide on a mount that is in no table.
    const bool answered =
        scan_.leases.busy > 0 || (scan_.leases.files > 0 && scan_.leases.all_proven());
    look_at_processes(proc.get(), processes, wanted,
                      answered ? ProcessScan::Care::kByName : ProcessScan::Care::kThorough);
    look_for_kept_namespaces(mounts);
    scan_.holders.insert(scan_.holders.end(), kernel.holders.begin(), kernel.holders.end());
    scan_.unseen.insert(scan_.unseen.end(), kernel.unseen.begin(), kernel.unseen.end());
    judge();
  }

  // What hides processes or mounts from this one.
  void look_for_limits(int proc, ProcFiles& files, const MountTable& mounts, std::uint64_t space,
                       const Wanted& wanted) {
    if (namespace_inode(files.link(proc, "self/ns/pid")) != kFirstPidSpace) {
      add_unseen("the processes outside this container");
    }
    const Mount* own_proc = mounts.covering(space, "/proc");
    const bool hidden = own_proc != nullptr && own_proc->type == "proc" &&
                        own_proc->options.find("hidepid=") != std::string::npos &&
                        own_proc->options.find("hidepid=0") == std::string::npos &&
                        own_proc->options.find("hidepid=off") == std::string::npos;
    if (hidden && ::geteuid() != 0) add_unseen("the processes that hidepid= of /proc hides");
    if (wanted.own() == nullptr) {
      add_unseen("which file system the path is on: this process has another root directory");
    }
  }

  void ask_for_leases(const MountTable& mounts, std::uint64_t space) {
    // Each directory on the way may be on another mount.
    const auto& path = scan_.prefix;
    for (std::size_t at = 1; at <= path.size(); at = path.find('/', at) + 1) {
      const auto end = std::min(path.find('/', at), path.size());
      const Mount* mount = mounts.covering(space, path.substr(0, end));
      if (mount != nullptr && !answers_here(mount->type)) {
        return not_asked("files on " + mount->type + " are not opened, since that may wait");
      }
      if (end == path.size()) break;
    }
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const UniqueFd root(
        static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
    if (!root) {
      if (errno == ELOOP) {
        scan_.problem = "there is a symbolic link in " + quote(path) +
                        ": name the path that it leads to (realpath shows it)";
        return;
      }
      // Without a name there is no file with a name.
      if (errno == ENOENT || errno == ENOTDIR) return;
      return not_asked(quote(path) + ": " + error_text(errno));
    }
    scan_.leases = prove_by_leases(root.get(), path, bounds_.leases);
  }

  void not_asked(std::string why) {
    scan_.leases.complete = false;
    scan_.leases.incomplete_why = std::move(why);
  }

  void add_unseen(std::string what) { scan_.unseen.push_back({0, 0, {}, std::move(what)}); }

  // A process may hand on what it holds to one that it starts, and exit before its turn: those
  // that are new are looked at, too.
  void look_at_processes(int proc, std::vector<pid_t> processes, const Wanted& wanted,
                         ProcessScan::Care care) {
    std::unordered_set<pid_t> seen;
    if (bounds_.without_self) {
      seen.insert(::getpid());
      std::erase(processes, ::getpid());
    }
    for (int round = 0; round < kRounds && !processes.empty(); ++round) {
      seen.insert(processes.begin(), processes.end());
      look_at_each(proc, processes, wanted, care);
      processes = processes_of(proc);
      std::erase_if(processes, [&](pid_t pid) { return seen.contains(pid); });
    }
    if (processes.empty()) return;
    add_unseen("processes that start others and exit faster than they can be looked at, at last " +
               std::to_string(processes.size()));
  }

  // On several threads: what takes its time is the kernel's work for each descriptor.
  void look_at_each(int proc, const std::vector<pid_t>& processes, const Wanted& wanted,
                    ProcessScan::Care care) {
    const BoundSockets sockets = bound_sockets_of(proc, processes, wanted, scan_.unseen);
    std::atomic<std::size_t> next = 0;
    std::list<ProcessScan> parts;
    const auto look = [&](ProcessScan& part) {
      for (std::size_t at = 0; (at = next++) < processes.size();) part.look_at(processes[at]);
    };
    {
      std::vector<std::jthread> helpers;
      const std::size_t useful = processes.size() / kProcessesOfAThread + 1;
      const std::size_t threads = std::min<std::size_t>(
          {useful, kThreads, std::max(1U, std::thread::hardware_concurrency())});
      while (helpers.size() + 1 < threads) {
        ProcessScan& part = parts.emplace_back(proc, wanted, sockets, care);
        helpers.emplace_back([&look, &part] { look(part); });
      }
      look(parts.emplace_back(proc, wanted, sockets, care));
    }
    for (ProcessScan& part : parts) {
      scan_.processes += part.processes;
      scan_.descriptors += part.descriptors;
      std::move(part.holders.begin(), part.holders.end(), std::back_inserter(scan_.holders));
      std::move(part.unseen.begin(), part.unseen.end(), std::back_inserter(scan_.unseen));
      kept_spaces_.insert(part.kept_spaces.begin(), part.kept_spaces.end());
    }
  }

  // A mount namespace without a process lives on where it is mounted itself, or is open: what is
  // mounted in it, nobody tells.
  void look_for_kept_namespaces(const MountTable& mounts) {
    for (const Mount& mount : mounts.all()) {
      if (mount.type != "nsfs" || !mount.root.starts_with("mnt:")) continue;
      if (mounts.has_space(namespace_inode(mount.root))) continue;
      add_unseen("the mount namespace that is kept at " + quote(mount.point));
    }
    for (const auto& [pid, space] : kept_spaces_) {
      if (mounts.has_space(space)) continue;
      scan_.unseen.push_back({pid, 0, {}, "a mount namespace that it keeps open"});
    }
  }

  void judge() {
    auto& holders = scan_.holders;
    const bool held = std::any_of(holders.begin(), holders.end(),
                                  [](const Holder& one) { return !one.possibly; });
    if (held || scan_.leases.busy > 0) {
      scan_.verdict = HolderVerdict::kHeld;
    } else if (holders.empty() && scan_.unseen.empty()) {
      scan_.verdict = HolderVerdict::kClear;
    }
    std::sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) {
      if (a.possibly != b.possibly) return !a.possibly;
      if ((a.pid == 0) != (b.pid == 0)) return b.pid == 0;
      if (a.count() != b.count()) return a.count() > b.count();
      if (a.pid != b.pid) return a.pid < b.pid;
      return a.object < b.object;
    });
    cut(holders, bounds_.max_holders, scan_.more_holders);
    cut(scan_.unseen, bounds_.max_unseen, scan_.more_unseen);
  }

  template <typename Row>
  static void cut(std::vector<Row>& rows, std::size_t most, std::uint64_t& more) {
    if (rows.size() <= most) return;
    more = rows.size() - most;
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(most), rows.end());
  }

  ScanBounds bounds_;
  HolderScan scan_;
  std::set<std::pair<pid_t, std::uint64_t>> kept_spaces_;
};

}  // namespace

std::uint64_t own_mount_namespace() {
  ProcFiles files;
  return namespace_inode(files.link(AT_FDCWD, "/proc/self/ns/mnt"));
}

HolderScan scan_holders(const std::string& prefix, const ScanBounds& bounds) {
  for (int look = 1;; ++look) {
    HolderScan scan = HostScan(prefix, bounds).run();
    if (look == kLooks || !is_only_in_flight(scan)) return scan;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace muster::os
