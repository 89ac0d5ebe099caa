// The brokers of user sessions: root asks them together with the broker of the host. One report
// each, one exit status. A user can do anything with its own broker, so every wait has a bound.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "muster/broker_view.h"

#include "musterctl/find_sessions.h"
#include "musterctl/options.h"
#include "musterctl/program.h"

namespace muster::ctl {

// --- asking them

// Asks the brokers of user sessions for a broadcast, all at the same time and beside the host's.
//
// A user can do with its broker what it likes, so nothing here waits for one without a bound.
struct SessionAnswer {
  SessionBroker broker;
  std::optional<BroadcastReport> report;
  bool joined = false;
  std::string failure;     // no report: a sentence
  std::string error_json;  // no report: {"code":...,"message":...}
  bool began = false;      // the broker said that it began to ask its backends
  bool left_over = false;  // no broker runs there any more
  int status = 0;
};

class SessionAsks {
 public:
  // What a broker may be late beyond the time that the request gives it.
  static constexpr std::chrono::milliseconds kGrace{2'000};

  SessionAsks(const std::vector<SessionBroker>& brokers, const BroadcastRequest& request,
              bool allow_empty, std::chrono::milliseconds grace = kGrace);
  // Stops waiting; the broadcasts go on.
  ~SessionAsks();
  SessionAsks(const SessionAsks&) = delete;
  SessionAsks& operator=(const SessionAsks&) = delete;

  // Waits until every broker has answered or its time is over. `keep_waiting` is called at least
  // every 100 ms; when it returns false those that are open end as unreachable.
  std::vector<SessionAnswer> wait(const std::function<bool()>& keep_waiting);

 private:
  void ask(SessionAnswer& answer, const BroadcastRequest& request, bool allow_empty);
  [[nodiscard]] std::string why_stopped(std::uint32_t events) const;

  const std::chrono::milliseconds grace_;
  std::vector<SessionAnswer> answers_;  // each belongs to its thread until that has ended
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t open_ = 0;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

// --- a broadcast to all

// A broadcast to the host's broker and those of user sessions: one report each, one exit status.

// Whether this request goes to user sessions, too: root's, unless it names a broker itself.
[[nodiscard]] bool asks_sessions(const Invocation& to, const BroadcastOptions& options);

// The brokers of user sessions that a request to the host's broker alone leaves out, a name each;
// none where it goes to one broker, or with --no-sessions, which it says.
[[nodiscard]] std::vector<std::string> sessions_left_out(const Invocation& to,
                                                         const BroadcastOptions& options);

// `host` asks the host's broker, prints to the console of the Invocation it is given and returns
// the exit status; it may throw ControlFailure.
int run_with_sessions(const Invocation& to, const BroadcastOptions& options,
                      const BroadcastRequest& request,
                      const std::function<int(const Invocation&)>& host);

}  // namespace muster::ctl
