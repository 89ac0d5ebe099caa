// Asks the brokers of user sessions for a broadcast, all at the same time and beside the host's.
//
// A user can do with its broker what it likes, so nothing here waits for one without a bound.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "muster/broker_view.h"

#include "musterctl/sessions.h"

namespace muster::ctl {

struct SessionAnswer {
  SessionBroker broker;
  std::optional<BroadcastReport> report;
  bool joined = false;
  std::string failure;     // no report: a sentence
  std::string error_json;  // no report: {"code":...,"message":...}
  bool left_over = false;  // nobody listens there any more: not a failure
  int status = 0;
};

class SessionAsks {
 public:
  SessionAsks(const std::vector<SessionBroker>& brokers, const BroadcastRequest& request,
              bool allow_empty);
  // Stops waiting; the broadcasts go on.
  ~SessionAsks();
  SessionAsks(const SessionAsks&) = delete;
  SessionAsks& operator=(const SessionAsks&) = delete;

  // Waits until every broker has answered or its time is over. `keep_waiting` is called at least
  // every 100 ms; when it returns false those that are open end as unreachable.
  std::vector<SessionAnswer> wait(const std::function<bool()>& keep_waiting);

 private:
  void ask(SessionAnswer& answer, const BroadcastRequest& request, bool allow_empty);

  std::vector<SessionAnswer> answers_;  // each belongs to its thread until that has ended
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t open_ = 0;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace muster::ctl
