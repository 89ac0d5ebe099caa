// What happens in the broker on its way to the history, and what operators ask of it.
//
// A broadcast is written when it starts and when it ends; in between, and when a late answer comes
// or its hold changes, what is known of it is written anew after a while. All of that waits in a
// bounded queue and is written by a thread of its own, many broadcasts at a time. Where the disk
// fails it is tried again; what does not fit into the queue is dropped, counted, logged, and a
// problem in `status`. Nothing here ever holds up a broadcast.
//
// The loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <tuple>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>

#include "muster/broker_view.h"
#include "muster/history.h"

#include "musterd/config/settings.h"
#include "musterd/history/history_store.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"

namespace muster::broker {
class BrokerServer;
}

namespace muster::daemon {

class History {
 public:
  // The payload of an answer that has the report as it is now; null when there is none (any more).
  using Payload = std::shared_ptr<const std::string>;
  using Encode = std::function<Payload(BroadcastId)>;

  // Of all that waits to be written, or is being written; of one user who is not root, half.
  static constexpr std::size_t kMostBytes = 32U << 20U;
  // Questions that wait: of everybody, and of one user.
  static constexpr std::size_t kMostQuestions = 32;
  static constexpr std::size_t kMostQuestionsOfUser = 4;
  // Broadcasts of more backends are encoded in a turn of their own.
  static constexpr std::uint32_t kFew = 512;

  // `first_id`: the first that this broker gives out. `log` must outlive it.
  History(const asio::any_io_executor& loop, HistorySettings settings,
          const std::filesystem::path& directory, BroadcastId first_id, Log& log);
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // REQUIRES: before the server listens; it outlives the loop.
  void serve(broker::BrokerServer& server, Encode encode);
  // Opens the file. `holds`: those of the previous broker that still go on.
  void begin(std::set<BroadcastId> holds);

  // From inside the core: calls only const functions of it.
  void on_event(const Event& event);
  // The broadcast has ended. `payload`: its report, if somebody had it encoded already.
  void ended(BroadcastId id, Payload payload);

  struct Answer {
    std::string payload;  // of an answer; empty: there is no such report
    std::string problem;  // why it cannot be read; a sentence's end
  };
  using Done = std::function<void(Answer)>;
  // Calls `done` later, on the loop. False: too many wait.
  [[nodiscard]] bool find(uid_t user, HistoryQuery query, Done done);
  [[nodiscard]] bool report(uid_t user, BroadcastId id, Done done);

  [[nodiscard]] bool is_enabled() const noexcept { return settings_.enabled; }
  void add_problems(std::vector<std::string>& all) const;
  // Of entries that could not be written.
  [[nodiscard]] std::uint64_t missing() const noexcept { return missing_; }
  // From time to time: whether the file is still there, and what is too old.
  void check();

  // Hands over what waits, and arms nothing any more: the loop may end.
  void stop();
  // Waits for the thread. False: it takes longer, and is left behind.
  bool close(std::chrono::milliseconds patience);

 private:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  struct Waiting {
    HistoryRecord record;
    std::size_t bytes = 0;
    std::optional<uid_t> uid;  // whose share of the queue it has; nothing: the broker's
  };
  // Who was refused, and why.
  using RefusalKey = std::tuple<uid_t, pid_t, std::string, std::string>;
  struct Batch {
    std::map<BroadcastId, Waiting> records;
    std::map<RefusalKey, HistoryRefusal> refusals;
    std::vector<std::pair<BroadcastId, HoldState>> holds;
    std::set<BroadcastId> dropped;
    [[nodiscard]] bool empty() const {
      return records.empty() && refusals.empty() && holds.empty() && dropped.empty();
    }
  };
  // What became of a batch.
  struct Written {
    bool done = false;
    bool more_to_prune = false;
    std::string problem;
    std::vector<HistoryNote> notes;
  };
  struct Running {
    std::uint32_t targets = 0;
    std::chrono::milliseconds wait{};  // until it is looked at again
  };
  struct Questions {
    std::map<uid_t, std::size_t> of_users;
    std::size_t all = 0;
  };

  void started(const Event& event);
  void refused(const Event& event);
  // Of a hold that goes on since before the broker restarted: nobody else has its report.
  void hold_changed(const Event& event);
  // It is encoded and written anew, at `at` or earlier; with kHasEnded before all others.
  static constexpr Time kHasEnded = Time::min();
  void look_at(BroadcastId id, Time at);
  void forget_look(BroadcastId id);
  void arm_look();
  void look();
  void encode(BroadcastId id, bool has_ended);
  void put(BroadcastId id, Waiting waiting);
  void drop(BroadcastId id);
  void count_missing();
  void release(const Waiting& waiting);
  // What comes together is written together.
  static constexpr std::chrono::milliseconds kTogether{5};
  void flush_later(std::chrono::milliseconds wait);
  // With `even_if_writing` also while another batch is written.
  void hand_over(bool even_if_writing, bool even_if_empty = false);
  void written(const std::shared_ptr<Batch>& batch, const Written& result);
  void tell(const std::vector<HistoryNote>& notes);
  [[nodiscard]] bool ask(uid_t user, std::function<void(HistoryStore&, Answer&)> what, Done done);
  [[nodiscard]] bool has_report(BroadcastId id) const;
  [[nodiscard]] std::size_t share_of(std::optional<uid_t> uid) const;

  const asio::any_io_executor loop_;
  const HistorySettings settings_;
  Log& log_;
  const std::shared_ptr<HistoryStore> store_;  // the worker's alone
  broker::BrokerServer* server_ = nullptr;
  Encode encode_;

  Batch waiting_;
  std::size_t used_ = 0;  // bytes of what waits and is written
  std::map<uid_t, std::size_t> used_by_;
  std::size_t writing_ = 0;  // batches that the worker has

  std::map<BroadcastId, Running> running_;
  std::map<BroadcastId, Time> looks_;
  std::set<std::pair<Time, BroadcastId>> look_order_;
  Time no_look_before_{};

  std::uint64_t missing_ = 0;
  std::uint64_t told_missing_ = 0;
  Time tell_missing_at_{};
  std::string problem_;  // why nothing can be written; empty: all is well
  std::chrono::milliseconds retry_wait_{};
  Time prune_at_{};
  const std::shared_ptr<Questions> questions_ = std::make_shared<Questions>();

  asio::steady_timer flush_timer_;
  asio::steady_timer look_timer_;
  bool is_flush_armed_ = false;
  bool is_look_armed_ = false;
  bool is_stopped_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  Worker worker_;
};

}  // namespace muster::daemon
