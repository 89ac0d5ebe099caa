// One process after the other: what of it is below the wanted path.
//
// One thread for each object.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unordered_set>
#include <utility>
#include <vector>

#include "muster/holders.h"

#include "os/holders/bound_sockets.h"
#include "os/holders/mount_table.h"
#include "os/holders/proc_files.h"
#include "os/holders/wanted.h"
#include "os/unique_fd.h"

namespace muster::os {

// The processes that /proc shows now.
[[nodiscard]] std::vector<pid_t> processes_of(int proc);

// Reads the mount tables: of one process in each namespace and root directory. A process whose
// table cannot be read is one that cannot be looked at either: the scan of it says so.
[[nodiscard]] MountTable mounts_of(int proc, const std::vector<pid_t>& processes);

class ProcessScan {
 public:
  // Names tell where a file is, but for those on a mount that nobody sees any more (umount -l).
  // kThorough looks at the mount of every file, which takes three times as long; kByName at that of
  // one file of each directory.
  enum class Care { kByName, kThorough };
  // What is named outlives the object.
  ProcessScan(int proc, const Wanted& wanted, const BoundSockets& sockets, Care care)
      : proc_(proc), wanted_(wanted), sockets_(sockets), care_(care) {}

  void look_at(pid_t pid);

  std::vector<Holder> holders;
  std::vector<Unseen> unseen;
  std::vector<std::pair<pid_t, std::uint64_t>> kept_spaces;  // mount namespaces, by descriptors
  std::uint64_t processes = 0;
  std::uint64_t descriptors = 0;

 private:
  struct Finding {
    std::array<std::uint64_t, kHeldByKinds> counts{};
    std::string example;
    bool deleted = false;
    bool possibly = true;      // so far nothing is sure
    std::string first_unseen;  // of this process
  };

  void note(HeldBy kind, std::string_view text, std::uint64_t times = 1);
  void note_possibly(HeldBy kind, std::string_view text, std::uint64_t times = 1);
  void cannot(const char* what, int error);
  void look_at_links(int task, std::uint64_t space, bool program);
  void look_at_descriptors(int task, std::uint64_t space);
  void look_at_descriptor(int fdinfo, const char* number, std::string_view text,
                          std::uint64_t space);
  [[nodiscard]] bool is_new_place(std::string_view text);
  void look_at_unlisted(const char* number, std::string_view text, HeldBy kind);
  void look_at_ring(std::string_view info, std::uint64_t space);
  void look_at_socket(std::string_view text, std::uint64_t space);
  void look_at_mappings(int task, std::uint64_t space);
  void look_at_threads(int process, pid_t pid, bool leader_is_gone);
  void finish(int process, pid_t pid);

  int proc_;
  const Wanted& wanted_;
  const BoundSockets& sockets_;
  Care care_;
  pid_t pid_ = 0;
  ProcFiles files_;
  ProcFiles infos_;
  std::vector<char> entries_ = std::vector<char>(32UL * 1024);
  Finding found_;
  std::unordered_set<std::size_t> places_;
  bool ring_is_mapped_ = false;
  bool ring_is_open_ = false;
};

}  // namespace muster::os
