// The registered backends, and the processes that were refused, on disk, so that a broker that
// starts knows whom to expect.
//
// A backend hears that it is registered after its record is written. The kernel has it then, which
// is enough for a broker that is killed; where the host goes down there is nobody left to expect.
//
// The loop's thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <asio/any_io_executor.hpp>

#include "muster/registration.h"

#include "core/quiesces.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"
#include "musterd/state/journal.h"
#include "os/whereabouts.h"

namespace muster::daemon {

inline constexpr const char* kRosterFileName = "roster";

struct RosterEntry {
  Registration registration;
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;  // 0: it cannot be seen from here
  // Field 22 of /proc/PID/stat; of one that cannot be seen, the inode of its pidfd. 0: not known.
  std::uint64_t start_ticks = 0;
  std::string boot_id;
  os::Namespaces namespaces;  // which pid and start time are of
  core::Quiesces quiesced;
  Cause refused = Cause::kNone;  // of one that was not registered: why

  friend bool operator==(const RosterEntry&, const RosterEntry&) = default;
};

// Of the process that has `pid` now.
[[nodiscard]] RosterEntry describe_process(pid_t pid);
// Its pid and start time are of another namespace, of which nothing is known here. One whose
// namespace was not recorded counts as one of this.
[[nodiscard]] bool is_unseen(const RosterEntry& entry, const os::Whereabouts& here);
// False only when the process is gone for certain: another boot, no such process, or another
// process of that pid. What cannot be told counts as alive, as no living process may be forgotten.
[[nodiscard]] bool may_live(const RosterEntry& entry, const os::Whereabouts& here);

// A record of the journal.
struct RosterChange {
  enum class Kind {
    kRegistered,  // everything but `quiesced`; the backend is not quiesced. Or it was refused
    kGone,        // only the key counts
    kQuiesced,    // only the key and `quiesced`; of a backend whose record came before
  };
  RosterEntry entry;
  Kind kind = Kind::kRegistered;
};
[[nodiscard]] std::string encode_roster_change(const RosterChange& change);
[[nodiscard]] std::optional<RosterChange> decode_roster_change(std::string_view record);

class RosterStore {
 public:
  // Reads the file; what cannot be read is logged, stands in problem(), and stops nobody.
  // `worker` and `log` outlive it. `had_predecessor`: another broker left state in the directory,
  // so that there has to be a roster.
  RosterStore(const asio::any_io_executor& loop, Worker& worker,
              const std::filesystem::path& directory, Log& log, bool had_predecessor);
  ~RosterStore();
  RosterStore(const RosterStore&) = delete;
  RosterStore& operator=(const RosterStore&) = delete;

  // Those that the last broker knew and whose process may still live, in the order in which they
  // registered. The others are forgotten.
  [[nodiscard]] std::vector<RosterEntry> load(const os::Whereabouts& here);
  // A key that is there is replaced. Only what is new is written.
  void note_registered(RosterEntry entry, Journal::Durable done = {});
  void note_gone(const BackendKey& key, Journal::Durable done = {});
  // Of one that is there; all else stays as it was written.
  void note_quiesced(const BackendKey& key, core::Quiesces quiesced, Journal::Durable done = {});
  // Why the roster is not complete, or is not on disk; empty when all is well. A sentence.
  [[nodiscard]] std::string problem() const;
  // False: a backend that registered since the host started may be missing, as the roster was
  // damaged or could not be written, or an earlier run refused more than it listed. That outlives
  // the broker, until forget_lost() or a restart of the host.
  [[nodiscard]] bool knows_all() const noexcept {
    return lost_.empty() && unwatched_ == 0 && !earlier_unlisted_refused_;
  }
  // So many backends of the last broker cannot be watched now, and are not in the registry.
  void set_unwatched(std::size_t count) noexcept { unwatched_ = count; }
  // Whether processes were refused that are in no list: the next broker must know that it misses
  // them. To be called again from time to time: a file that was deleted meanwhile is made again.
  void set_unlisted_refused(bool missed);
  // An operator says that nobody is missed. False: there was nobody.
  bool forget_lost();
  // `done` is called from the loop, when what was noted and said before is on disk, or could not be
  // written.
  void when_written(std::function<void()> done);
  // As Journal::check().
  void check() { journal_->check(); }
  // Whether a record has waited for too long; problem() says so.
  void set_late(bool late) noexcept { is_late_ = late; }
  // Writes everything; nothing is armed any more.
  void close();

 private:
  // Null when nobody has the key.
  [[nodiscard]] const RosterEntry* find(const BackendKey& key) const;
  void apply(RosterChange change);
  [[nodiscard]] std::vector<std::string> snapshot() const;

  std::map<std::uint64_t, RosterEntry> entries_;  // by order of registration
  std::map<BackendKey, std::uint64_t> order_of_;
  std::uint64_t next_order_ = 0;
  void health_changed(const std::string& problem);
  // Where nothing is missing, the markers go. REQUIRES: the roster can be written.
  void remove_markers_if_whole();

  Worker& worker_;
  Log& log_;
  // An empty file that says that the roster is not whole. Its name has the boot: a full disk has
  // room for a name.
  std::filesystem::path marker_;
  std::filesystem::path refused_marker_;  // the same: refused processes are missing
  std::string lost_;                      // what could not be read
  std::size_t unwatched_ = 0;
  bool has_unlisted_refused_ = false;
  bool earlier_unlisted_refused_ = false;  // an earlier run
  bool is_late_ = false;
  std::string file_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace muster::daemon
