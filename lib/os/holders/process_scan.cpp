#include "os/holders/process_scan.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <map>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "os/error_text.h"
#include "os/holders/proc_text.h"

namespace muster::os {
namespace {

struct Dirent64 {  // as getdents64(2) has it
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[1];
};

// Calls `each` with every name of the directory but "." and "..". Not readdir(3): it allocates.
template <typename Each>
int for_each_entry(int directory, std::vector<char>& memory, const Each& each) {
  for (;;) {
    const long size = ::syscall(SYS_getdents64, directory, memory.data(), memory.size());
    if (size < 0) return errno;
    if (size == 0) return 0;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const Dirent64*>(memory.data() + at);
      at += entry->size;
      if (entry->name[0] != '.') each(entry->name);
    }
  }
}

bool is_gone(int error) { return error == ENOENT || error == ESRCH; }

pid_t number_of(std::string_view text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc{} && end == text.data() + text.size() ? pid : 0;
}

UniqueFd open_at(int directory, const char* name, int flags) {
  return UniqueFd(::openat(directory, name, flags | O_CLOEXEC));
}

std::uint64_t device_of(const struct statx& is) {
  return std::uint64_t{is.stx_dev_major} << 32U | is.stx_dev_minor;
}

bool shared(pid_t one, pid_t other, int what) {
  return ::syscall(SYS_kcmp, one, other, what, 0UL, 0UL) == 0;
}

}  // namespace

std::vector<pid_t> processes_of(int proc) {
  std::vector<pid_t> pids;
  const UniqueFd directory = open_at(proc, ".", O_RDONLY | O_DIRECTORY);
  std::vector<char> memory(32UL * 1024);
  (void)for_each_entry(directory.get(), memory, [&](const char* name) {
    if (const pid_t pid = number_of(name); pid > 0) pids.push_back(pid);
  });
  return pids;
}

MountTable mounts_of(int proc, const std::vector<pid_t>& processes) {
  ProcFiles files;
  std::map<std::pair<std::uint64_t, std::string>, pid_t> readers;
  for (const pid_t pid : processes) {
    const std::string at = std::to_string(pid);
    const auto space = namespace_inode(files.link(proc, (at + "/ns/mnt").c_str()));
    if (space == 0) continue;
    readers.try_emplace({space, std::string(files.link(proc, (at + "/root").c_str()))}, pid);
  }
  MountTable table;
  // A process that has not changed its root sees all mounts of its namespace, and "/" sorts before
  // every other root.
  for (const auto& [key, pid] : readers) {
    int error = 0;
    const auto text = files.file(proc, (std::to_string(pid) + "/mountinfo").c_str(), error);
    if (error == 0) table.add(text, key.first, key.second, pid);
  }
  return table;
}

void ProcessScan::note(HeldBy kind, std::string_view text, std::uint64_t times) {
  found_.possibly = false;
  note_possibly(kind, text, times);
}

void ProcessScan::note_possibly(HeldBy kind, std::string_view text, std::uint64_t times) {
  found_.counts[static_cast<std::size_t>(kind)] += times;
  if (!found_.example.empty() || text.empty()) return;
  found_.example = without_deleted(text);
  found_.deleted = found_.example.size() != text.size();
}

void ProcessScan::cannot(const char* what, int error) {
  if (is_gone(error) || !found_.first_unseen.empty()) return;
  found_.first_unseen = std::string(what) + ": " + error_text(error);
}

void ProcessScan::look_at(pid_t pid) {
  const UniqueFd process = open_at(proc_, std::to_string(pid).c_str(), O_PATH | O_DIRECTORY);
  if (!process) return;  // it has exited
  ++processes;
  pid_ = pid;
  found_ = Finding{};
  places_.clear();
  ring_is_mapped_ = ring_is_open_ = false;

  const auto program = files_.link(process.get(), "exe");
  const bool no_program = program.empty() && errno == ENOENT;  // a kernel thread, or it has exited
  struct stat tasks {};
  const bool alone = ::fstatat(process.get(), "task", &tasks, 0) == 0 && tasks.st_nlink <= 3;
  if (no_program && alone) return;

  const auto space = namespace_inode(files_.link(process.get(), "ns/mnt"));
  look_at_links(process.get(), space, true);
  look_at_descriptors(process.get(), space);
  if (!no_program) look_at_mappings(process.get(), space);
  if (!alone) look_at_threads(process.get(), pid, no_program);
  if (ring_is_mapped_ && !ring_is_open_) note_possibly(HeldBy::kInFlight, {});
  finish(process.get(), pid);
}

void ProcessScan::look_at_links(int task, std::uint64_t space, bool program) {
  struct Link {
    const char* name;
    HeldBy kind;
  };
  for (const Link link : {Link{"cwd", HeldBy::kWorkingDirectory},
                          Link{"root", HeldBy::kRootDirectory}, Link{"exe", HeldBy::kExecutable}}) {
    if (link.kind == HeldBy::kExecutable && !program) continue;
    const auto text = files_.link(task, link.name);
    if (text.empty()) {
      cannot("its directories and program", errno);
      continue;
    }
    // On a mount that was taken away (umount -l) the text is a path from there.
    struct statx is {};
    if (::statx(task, link.name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &is) != 0) {
      cannot("its directories and program", errno);
    } else if ((is.stx_mask & STATX_MNT_ID) != 0 && wanted_.own() != nullptr &&
               !wanted_.knows_mount(is.stx_mnt_id)) {
      if (wanted_.has_device(device_of(is))) note_possibly(link.kind, text);
      continue;
    }
    if (wanted_.may_be(text, space)) note(link.kind, text);
  }
}

void ProcessScan::look_at_descriptors(int task, std::uint64_t space) {
  const UniqueFd directory = open_at(task, "fd", O_RDONLY | O_DIRECTORY);
  if (!directory) return cannot("its descriptors", errno);
  UniqueFd infos;
  const int error = for_each_entry(directory.get(), entries_, [&](const char* number) {
    ++descriptors;
    const auto text = files_.link(directory.get(), number);
    if (text.empty()) return cannot("its descriptors", errno);
    const bool file = text.front() == '/';
    const bool ring = text == "anon_inode:[io_uring]";
    if (text.starts_with("mnt:[")) {
      kept_spaces.emplace_back(pid_, namespace_inode(text));
      return;
    }
    const bool look =
        file ? wanted_.may_be(text) || is_new_place(text) : ring || text.starts_with("socket:");
    if (!look) return;
    if (!infos) infos = open_at(task, "fdinfo", O_PATH | O_DIRECTORY);
    look_at_descriptor(infos.get(), number, text, space);
  });
  if (error != 0) cannot("its descriptors", error);
}

// Files of one directory are taken to be on one mount, unless all care is asked for.
bool ProcessScan::is_new_place(std::string_view text) {
  if (care_ == Care::kThorough) return true;
  const auto slash = text.rfind('/');
  return places_.insert(std::hash<std::string_view>{}(text.substr(0, slash + 1))).second;
}

void ProcessScan::look_at_descriptor(int fdinfo, const char* number, std::string_view text,
                                     std::uint64_t space) {
  const bool ring = text.front() == 'a';
  int error = 0;
  const auto info =
      ring ? infos_.file(fdinfo, number, error) : infos_.short_file(fdinfo, number, error);
  if (error != 0) return cannot("its descriptors", error);
  if (ring) return look_at_ring(info, space);
  if (text.front() == 's') {
    const auto in_flight = as_number(value_of(info, "scm_fds"));
    if (in_flight > 0) note_possibly(HeldBy::kInFlight, {}, in_flight);
    return look_at_socket(text, space);
  }
  const auto mount = as_number(value_of(info, "mnt_id"));
  const auto flags = as_number(value_of(info, "flags"), 8);
  const auto kind = (flags & O_PATH) != 0 ? HeldBy::kPathDescriptor : HeldBy::kDescriptor;
  if (wanted_.is(text, mount)) {
    note(kind, text);
  } else if (!wanted_.knows_mount(mount)) {
    look_at_unlisted(number, text, kind);
  }
}

// Its mount was taken away, so its name tells nothing. A copy of the descriptor tells the
// superblock; AT_STATX_DONT_SYNC: without asking a server.
void ProcessScan::look_at_unlisted(const char* number, std::string_view text, HeldBy kind) {
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U)));
  const UniqueFd copy(
      pidfd ? static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), number_of(number), 0U))
            : -1);
  struct statx is {};
  if (!copy || ::statx(copy.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &is) != 0) {
    return cannot("a file on a mount that is in no namespace", errno);
  }
  if (wanted_.has_device(device_of(is))) note_possibly(kind, text);
}

void ProcessScan::look_at_ring(std::string_view info, std::uint64_t space) {
  ring_is_open_ = true;
  const RingFiles files = ring_files(info);
  for (const std::string& path : files.paths) {
    if (wanted_.may_be(path, space)) note(HeldBy::kRingFile, path);
  }
  if (!files.complete) note_possibly(HeldBy::kRingFile, {});
}

void ProcessScan::look_at_socket(std::string_view text, std::uint64_t space) {
  const std::string* path = sockets_.find(namespace_inode(text));
  if (path == nullptr) return;
  if (!BoundSockets::tells_place(*path)) {
    note_possibly(HeldBy::kBoundSocket, *path);
  } else if (wanted_.may_be(*path, space)) {
    note(HeldBy::kBoundSocket, *path);
  }
}

// "7f00-7f10 r--p 00000000 08:01 1234   /path"
void ProcessScan::look_at_mappings(int task, std::uint64_t space) {
  int error = 0;
  const auto maps = files_.file(task, "maps", error);
  if (error != 0) return cannot("its mappings", error);
  for_each_line(maps, [&](std::string_view line) {
    const auto slash = line.find('/');
    if (slash == std::string_view::npos) {
      if (line.ends_with("[io_uring]")) ring_is_mapped_ = true;
      return;
    }
    const auto text = line.substr(slash);
    if (text.find('\\') == std::string_view::npos) {
      if (wanted_.may_be(text, space)) note(HeldBy::kMapping, text);
    } else if (const std::string path = decode_octal(text); wanted_.may_be(path, space)) {
      note(HeldBy::kMapping, path);
    }
  });
}

void ProcessScan::look_at_threads(int process, pid_t pid, bool leader_is_gone) {
  const UniqueFd directory = open_at(process, "task", O_RDONLY | O_DIRECTORY);
  if (!directory) return cannot("its threads", errno);
  std::vector<pid_t> threads;
  const int error = for_each_entry(directory.get(), entries_, [&](const char* name) {
    if (const pid_t thread = number_of(name); thread > 0 && thread != pid)
      threads.push_back(thread);
  });
  if (error != 0) cannot("its threads", error);
  // Those that were looked at, one for each table and each pair of directories.
  std::vector<pid_t> tables{pid};
  std::vector<pid_t> places{pid};
  for (const pid_t thread : threads) {
    const auto known = [&](const std::vector<pid_t>& seen, int what) {
      return std::any_of(seen.begin(), seen.end(),
                         [&](pid_t other) { return shared(other, thread, what); });
    };
    const bool new_table = !known(tables, KCMP_FILES);
    const bool new_place = !known(places, KCMP_FS);
    if (!new_table && !new_place && !leader_is_gone) continue;
    const UniqueFd task = open_at(directory.get(), std::to_string(thread).c_str(), O_PATH);
    if (!task) continue;
    const auto space = namespace_inode(files_.link(task.get(), "ns/mnt"));
    if (new_table) {
      tables.push_back(thread);
      look_at_descriptors(task.get(), space);
    }
    if (new_place || leader_is_gone) {
      places.push_back(thread);
      look_at_links(task.get(), space, leader_is_gone);
    }
    if (leader_is_gone) look_at_mappings(task.get(), space);
    leader_is_gone = false;
  }
}

void ProcessScan::finish(int process, pid_t pid) {
  Holder holder;
  for (std::size_t kind = 0; kind < kHeldByKinds; ++kind) {
    if (found_.counts[kind] == 0) continue;
    holder.held.push_back({static_cast<HeldBy>(kind), found_.counts[kind]});
  }
  if (holder.held.empty() && found_.first_unseen.empty()) return;
  int error = 0;
  const std::string stat(infos_.file(process, "stat", error));
  if (is_kernel_thread(stat)) return;
  holder.command = command_of(stat);
  const auto uid = value_of(infos_.file(process, "status", error), "Uid");
  holder.uid = static_cast<uid_t>(as_number(uid));
  holder.pid = pid;
  if (!found_.first_unseen.empty()) {
    unseen.push_back({pid, holder.uid, holder.command, found_.first_unseen});
  }
  if (holder.held.empty()) return;
  holder.started = as_number(stat_field(stat, 22));
  Unit unit = unit_of(infos_.file(process, "cgroup", error));
  holder.unit = std::move(unit.name);
  holder.unit_user = unit.user;
  holder.example = std::move(found_.example);
  holder.deleted = found_.deleted;
  holder.possibly = found_.possibly;
  holders.push_back(std::move(holder));
}

}  // namespace muster::os
