// What a session gets of events and of broadcasts that ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>

#include "muster/broker_view.h"

#include "core/queue_account.h"
#include "net/framed_stream.h"

namespace muster::broker {
class BrokerServer;
}
namespace muster::wire {
class ReportKeys;
}

namespace muster::daemon {

// Decides which events a slow reader still gets: those that fit into its queue. Once one was left
// out, none is sent until half of the queue was read, and then first how many are missing. Pure.
class EventGate {
 public:
  // `bound`: bytes that may wait for the reader.
  explicit EventGate(std::size_t bound) noexcept : bound_(bound) {}

  // May an event of `size` bytes join the `queued` ones? Nothing: it is left out. Else how many
  // were left out before it, to be told first.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::size_t queued, std::size_t size) noexcept {
    const bool fits = missing_ != 0 ? has_caught_up(queued) : queued + size <= bound_;
    // An event larger than the bound is sent when nothing waits, or it would never be.
    if (!fits && queued != 0) {
      ++missing_;
      return std::nullopt;
    }
    return take_missing();
  }

  // Events that could not be made or told.
  void leave_out(std::uint64_t count = 1) noexcept { missing_ += count; }

  // Whether it is time to tell what is missing although no event comes.
  [[nodiscard]] bool has_caught_up(std::size_t queued) const noexcept {
    return queued <= bound_ / 2;
  }
  [[nodiscard]] bool is_missing_some() const noexcept { return missing_ != 0; }
  [[nodiscard]] std::uint64_t take_missing() noexcept { return std::exchange(missing_, 0); }

 private:
  std::size_t bound_;
  std::uint64_t missing_ = 0;
};

// One event, or the end of one broadcast, on its way to many sessions: its bytes, or those of the
// report, are made once, when they are first wanted. Lives no longer than the call. The loop's
// thread.

using AnswerAccount = std::shared_ptr<core::QueueAccount>;

// Bytes that are in the account for as long as they exist. Null when there is no room for them. A
// null account has room for everything.
[[nodiscard]] net::SharedBytes charged_bytes(std::string bytes, const AnswerAccount& account);

class EventDelivery {
 public:
  // Both outlive it. Only const functions of the server's core are called.
  EventDelivery(const Event& event, broker::BrokerServer& server)
      : event_(event), server_(server) {}

  [[nodiscard]] const Event& event() const noexcept { return event_; }
  // The payload of a frame.
  [[nodiscard]] const std::string& payload();

 private:
  const Event& event_;
  broker::BrokerServer& server_;
  std::optional<std::string> payload_;
};

// The report of a broadcast that has ended, on its way to those who wait for it.
class EndDelivery {
 public:
  // Both outlive it. Only const functions of the server's core are called.
  EndDelivery(BroadcastId broadcast, broker::BrokerServer& server, wire::ReportKeys& keys) noexcept
      : broadcast_(broadcast), server_(server), keys_(keys) {}

  [[nodiscard]] BroadcastId broadcast() const noexcept { return broadcast_; }
  // The payload of the report, in the user's account. Null when there is no room for it there.
  [[nodiscard]] net::SharedBytes report(uid_t uid, const AnswerAccount& account);
  // Makes the payload where it is not made yet. False: an error stands there instead of a report.
  bool payload();
  // What was made by now; null: nothing, or an error.
  [[nodiscard]] net::SharedBytes made() const { return is_error_ ? nullptr : report_; }

 private:
  const BroadcastId broadcast_;
  broker::BrokerServer& server_;
  wire::ReportKeys& keys_;
  net::SharedBytes report_;
  bool is_error_ = false;
  std::map<uid_t, net::SharedBytes> reports_;  // one for all of a user's
};

}  // namespace muster::daemon
