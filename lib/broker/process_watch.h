// Which connections belong to which process, and what to do when a process exits.
//
// One pidfd for each process, however many connections it has. The identity is the process that
// connected: when that one exits its connections are reported, even if a child still has their
// sockets. One thread, the io_context's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include <asio/io_context.hpp>

#include "broker/handler_memory.h"
#include "broker/transport.h"
#include "core/slot_table.h"
#include "os/peer.h"

namespace muster::broker {

class ProcessWatch final : Transport::Watcher {
 public:
  // `exited` is called from the loop, once for each connection of a process that has exited.
  ProcessWatch(asio::io_context& context, Transport& transport,
               std::function<void(ConnectionId)> exited);
  ~ProcessWatch() override;

  // Takes the peer's pidfd, or drops it when the process is watched already. A peer without one,
  // whose process is not watched, is not either, unless it is known to have exited: then it is
  // reported soon. Throws std::system_error when it cannot be watched.
  void add(ConnectionId connection, os::Peer& peer);
  // What program the connection's process is: looked up once for each process.
  [[nodiscard]] core::ProcessFactsPtr facts_of(ConnectionId connection);
  // The connection's slot is about to be used again.
  void remove(ConnectionId connection) noexcept;
  void stop() noexcept;

  // Whether it is watched, and has not exited at this very moment: the kernel is asked.
  [[nodiscard]] bool still_runs(const os::ProcessIdentity& process) const noexcept;
  [[nodiscard]] std::size_t process_count() const noexcept { return processes_.size(); }
  // How many of them have a pidfd open.
  [[nodiscard]] std::size_t descriptor_count() const noexcept { return descriptors_; }

 private:
  static constexpr std::size_t kBatch = 256;  // connections reported in one turn
  static constexpr std::uint32_t kNone = ~0U;

  struct ProcessId {
    std::uint32_t slot = kNone;
    std::uint32_t generation = 0;
  };
  struct Process {
    os::ProcessIdentity identity;
    os::UniqueFd pidfd;
    Transport::WatchId watch;
    core::ProcessFactsPtr facts;  // null: not looked up yet
    std::uint32_t first = kNone;  // connections, newest first: a list through links_
    bool exited = false;
  };
  struct Link {  // of a connection, by its slot
    ProcessId process;
    std::uint32_t generation = 0;
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;
    bool is_visible = true;  // in this pid namespace
  };
  struct IdentityHash {
    std::size_t operator()(const os::ProcessIdentity& process) const noexcept {
      return std::hash<std::uint64_t>{}(process.unique * 0x9E37'79B9'7F4A'7C15ULL ^
                                        static_cast<std::uint64_t>(process.pid));
    }
  };

  void readable(std::uint64_t token) override;
  ProcessId find_or_watch(os::Peer& peer);
  void mark_exited(ProcessId id);
  void schedule();
  void report();
  void unlink(std::uint32_t slot) noexcept;
  void forget(ProcessId id) noexcept;

  asio::io_context& context_;
  Transport& transport_;
  HandlerMemory& memory_;
  std::function<void(ConnectionId)> exited_;
  core::SlotTable<ProcessId, Process> processes_;
  std::unordered_map<os::ProcessIdentity, ProcessId, IdentityHash> by_identity_;
  std::vector<Link> links_;
  std::vector<ProcessId> gone_;  // exited, some of their connections not reported yet
  std::size_t descriptors_ = 0;
  bool scheduled_ = false;
};

}  // namespace muster::broker
