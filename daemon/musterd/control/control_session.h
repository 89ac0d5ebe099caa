// One operator's connection.
//
// It ends when its peer closes, breaks the protocol or does not read its answers; a broadcast that
// it asked for goes on. The loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

#include "core/backend_list.h"
#include "core/quota.h"
#include "musterd/config/settings.h"
#include "musterd/control/control_plane.h"
#include "musterd/control/event_delivery.h"
#include "musterd/control/holder_scans.h"
#include "musterd/control/user_turns.h"
#include "musterd/history/history.h"
#include "musterd/log/log.h"
#include "musterd/state/operation_keys.h"
#include "net/framed_stream.h"
#include "os/holders/family.h"
#include "os/peer.h"
#include "wire/control_lane.h"

namespace muster::daemon {

// Who the kernel says is at the other end.
struct OperatorPeer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary; those that the policy mentions
  std::string command;        // of its process, printable
  std::uint64_t started = 0;  // its process, when it was accepted: see os::start_time(); 0: unknown
};

class ControlSession;

// A broadcast that is verified, or has a hold, and whose operator is still connected.
struct OwnedBroadcast {
  ControlSession* session = nullptr;
  bool has_hold = false;
  bool is_leased = false;  // the hold ends with the session
  // The command that runs while it holds starts after this: see WantedScan.
  std::uint64_t children_after = 0;
};

// What all sessions share.
struct ControlContext {
  asio::any_io_executor loop;
  ControlSettings settings;
  ControlFacts facts;
  Log& log;
  broker::BrokerServer* server = nullptr;
  std::size_t followers = 0;    // requests that get events
  std::size_t connections = 0;  // open descriptors of operators
  wire::ReportKeys report_keys{};
  std::shared_ptr<UserTurns> turns = std::make_shared<UserTurns>(loop);
  std::shared_ptr<HolderScans> scans = std::make_shared<HolderScans>(loop, settings.scan_socket);
  std::map<BroadcastId, OwnedBroadcast> owned{};
  ControlSession* starting = nullptr;  // while the core starts a broadcast for it
};

// Of the groups of the peer of `socket`, those that the policy mentions: it may have 65,536.
[[nodiscard]] std::vector<gid_t> groups_that_matter(const ControlContext& context, int socket);

// What to turn the operator away with, when policy does not let it connect. Logged.
[[nodiscard]] std::optional<ControlError> connect_denied(ControlContext& context,
                                                         const OperatorPeer& who);

class ControlSession : public std::enable_shared_from_this<ControlSession> {
 public:
  static constexpr std::size_t kMaxOpenRequests = 256;  // of one connection

  // For the disk, before a broadcast with a key is sent all the same.
  static constexpr std::chrono::seconds kKeyPatience{5};
  // For the history's disk.
  static constexpr std::chrono::seconds kHistoryPatience{5};

  // Of all its selectors together.
  static constexpr std::size_t kMaxSelectionTerms = 256;

  // `place`: its user's, in the ledger; with nothing in it the session is one to turn away.
  ControlSession(std::shared_ptr<ControlContext> context, os::UniqueFd socket, OperatorPeer who,
                 core::Taken place, AnswerAccount answers);
  ~ControlSession();
  ControlSession(const ControlSession&) = delete;
  ControlSession& operator=(const ControlSession&) = delete;

  // Serves until the connection ends.
  static asio::awaitable<void> run(std::shared_ptr<ControlSession> self);
  // From inside the core: calls only const functions of it.
  void deliver(EventDelivery& delivery) noexcept;
  // From inside the core, too: answers who waits for the report, before it can be dropped for
  // others. False when some could not be answered, for want of memory: see answer_ended().
  [[nodiscard]] bool ended(EndDelivery& end) noexcept;
  // Tries again. False when some still could not be answered.
  [[nodiscard]] bool answer_ended() noexcept;
  // Where an answer is still owed, the end of the connection tells it.
  void close_if_owed() noexcept;
  // Takes no more requests; closes when what is queued is sent, or after
  // ControlSettings::linger.
  void finish() noexcept;
  // From inside the core, too: answers who ended that hold.
  void hold_ended(HoldId hold) noexcept;
  // Its connection has ended: so do the holds that are leased to it.
  void leave_holds() noexcept;
  // Its process, which is no holder in scans that it causes; nothing where that cannot be told.
  [[nodiscard]] std::optional<os::ProcessStart> own_process() const;
  // At once, without last words.
  void close() noexcept;
  // Looks up again which of its groups matter.
  void policy_changed() noexcept;
  // Whether it may be closed for another one: it has not asked for anything for a while.
  [[nodiscard]] bool is_idle(std::chrono::steady_clock::time_point now) const noexcept;
  [[nodiscard]] const OperatorPeer& who() const noexcept { return who_; }
  // Instead of run(): says why, and closes.
  void turn_away(const ControlError& why);

 private:
  // A request that is not done with: it gets events, or waits for a broadcast to end, or both.
  struct Open {
    std::uint64_t request_id = 0;
    BroadcastId broadcast = 0;  // 0: everything (a watch), or not known yet
    bool watches = false;
    bool starting = false;  // its broadcast is being started right now
    bool ended = false;     // its broadcast has: the answer is owed
    bool has_hold = false;  // the answer waits until the hold is on disk
    bool awaits_disk = false;
    bool ends_hold = false;  // it waits for the end of hold `broadcast`, not of the broadcast
    bool events = false;
    EventGate gate{0};
    core::Taken follower;  // with events
  };

  // False when the connection is to end.
  static asio::awaitable<bool> serve(std::shared_ptr<ControlSession> self,
                                     wire::ControlRequestFrame frame);
  // Waits until the request's operation key is on disk. False when the disk fails, or does not
  // answer within kKeyPatience.
  static asio::awaitable<bool> keep_key(std::shared_ptr<ControlSession> self, KeyEntry intended);
  // Finds out whom the selection is for, in turns of the loop.
  static asio::awaitable<void> select(std::shared_ptr<ControlSession> self);
  // Answers with the backends of this instant, written down in turns of the loop.
  static asio::awaitable<void> list(std::shared_ptr<ControlSession> self, std::uint64_t id);
  // Ends the quiesces of this instant, in turns of the loop; then it answers.
  static asio::awaitable<void> resume(std::shared_ptr<ControlSession> self, std::uint64_t id,
                                      BroadcastId broadcast);

  // Answers when the scan is made. Its user's other connections go on meanwhile.
  static asio::awaitable<void> find_holders(std::shared_ptr<ControlSession> self, std::uint64_t id,
                                            wire::FindHolders request);

  // What the history answers, in time or with why not.
  using HistoryQuestion = std::function<bool(History&, History::Done)>;
  static asio::awaitable<History::Answer> ask_history(std::shared_ptr<ControlSession> self,
                                                      HistoryQuestion question);
  [[nodiscard]] static bool may_need_history(
      const decltype(wire::ControlRequestFrame::message)& request) noexcept;
  // Answers a request that may_need_history().
  static asio::awaitable<void> look_back(std::shared_ptr<ControlSession> self,
                                         wire::ControlRequestFrame frame);
  // Answers with what the history has; an old report that it does not have with `otherwise`.
  static asio::awaitable<void> find_history(std::shared_ptr<ControlSession> self, std::uint64_t id,
                                            HistoryQuery query);
  static asio::awaitable<void> find_old_report(std::shared_ptr<ControlSession> self,
                                               std::uint64_t id, BroadcastId broadcast,
                                               ControlError otherwise);

  void handle(std::uint64_t id, wire::Ping request);
  void handle(std::uint64_t id, wire::StartBroadcast request);
  static void handle(std::uint64_t /*id*/, const wire::GetReport& /*request*/) {}
  void handle(std::uint64_t id, const wire::CancelBroadcast& request);
  // Not called: see list(), resume(), find_holders(), find_history() and get_report().
  static void handle(std::uint64_t /*id*/, const wire::ListBackends& /*request*/) {}
  static void handle(std::uint64_t /*id*/, const wire::Resume& /*request*/) {}
  static void handle(std::uint64_t /*id*/, const wire::FindHolders& /*request*/) {}
  static void handle(std::uint64_t /*id*/, const HistoryQuery& /*request*/) {}
  void handle(std::uint64_t id, wire::GetStatus request);
  void handle(std::uint64_t id, wire::Watch request);
  void handle(std::uint64_t id, const PolicyQuestion& question);
  void handle(std::uint64_t id, const wire::ForgetBackend& request);
  void handle(std::uint64_t id, wire::ListHolds request);
  void handle(std::uint64_t id, const wire::EndHold& request);
  void handle(std::uint64_t id, const wire::KeepHold& request);
  // When the holds of now are on disk: see ControlFacts::when_holds_kept.
  void respond_when_kept(std::uint64_t id, wire::ControlResponse answer);
  [[nodiscard]] wire::ControlResponse hold_answer(HoldId hold) const;
  // What there is to say when the report is gone, and the history may have it.
  [[nodiscard]] std::optional<ControlError> get_report(std::uint64_t id,
                                                       const wire::GetReport& request);
  // When that is on disk: a broker that crashes does not know the backend again.
  void respond_forgotten(std::uint64_t id);
  void handle(std::uint64_t id, wire::Cancel request);
  [[nodiscard]] std::optional<ControlError> denied(
      const decltype(wire::ControlRequestFrame::message)& request);
  void start(std::uint64_t id, wire::StartBroadcast request);
  // It is not started: says so to the operator, and to the log where the broker is too busy.
  void not_started(std::uint64_t id, const ControlError& why);
  // Another operator's broadcast is followed from now on: how it stands comes first.
  void join(Open& request, BroadcastId broadcast);
  void answer_if_ended(const Open& request);
  // False where there is nothing to wait for.
  [[nodiscard]] bool wait_for_disk(Open& request);
  void answer_kept(std::uint64_t id, BroadcastId broadcast) noexcept;
  void log_hold(std::string_view what, HoldId hold) const;
  [[nodiscard]] bool has_lease() const noexcept;
  void answer_ended(Open& request, EndDelivery& end);

  // Null when there are too many, which is answered. REQUIRES: `id` is not open.
  Open* open(std::uint64_t id, bool events);
  Open* find(std::uint64_t id);
  void close_request(std::uint64_t id);

  void respond(std::uint64_t id, const wire::ControlResponse& response);
  void respond(std::uint64_t id, const ReportSource& report);
  // `payload`: of a whole answer.
  void respond_payload(std::uint64_t id, std::string payload);
  // Before the answer: what was missing is told, and the request is done with.
  void end_request(std::uint64_t id);
  void send_event(Open& request, const Event& event);
  void send_event(Open& request, EventDelivery& delivery);
  // Charged to its user; `framed` is a whole answer.
  void send_answer(std::string framed);
  // An exception ended it; whatever it had begun goes on.
  void request_failed(std::uint64_t id, const std::string& what);
  // What waits for its user's operators is over the quota.
  void no_room(std::uint64_t id);
  void tell_missing(Open& request, std::uint64_t count);
  void tell_all_missing(Open& request);
  void check_missing_later() noexcept;
  void arm_missing_timer() noexcept;
  void check_missing() noexcept;
  // For a line that its user can cause as often as it likes.
  [[nodiscard]] bool may_log(LogLevel level) const noexcept {
    return context_->log.admits(level, who_.uid);
  }
  // The peer's fault: says so to it and to the log, and ends the connection.
  void protocol_error(std::uint64_t id, const std::string& problem);
  void sent(std::error_code error);

  std::shared_ptr<ControlContext> context_;
  net::FramedStream stream_;
  OperatorPeer who_;
  const core::Taken place_;
  const AnswerAccount answers_;
  UserTurns::Turn turn_;
  wire::ControlRequestDecoder decoder_;
  std::vector<Open> requests_;
  std::optional<core::SelectionWork> selected_;  // of the request that is served now
  std::chrono::steady_clock::time_point last_request_;
  asio::steady_timer missing_timer_;
  asio::steady_timer linger_timer_;
  asio::steady_timer answer_timer_;  // cancelled when what serve() waits for is there
  std::chrono::milliseconds missing_wait_{};
  std::size_t followers_ = 0;  // of requests_: with events
  bool finishing_ = false;     // no more requests are taken
  bool lingering_ = false;
};

}  // namespace muster::daemon
