// One event, or the end of one broadcast, on its way to many sessions: its bytes, or those of the
// report, are made once, when they are first wanted. Lives no longer than the call. The loop's
// thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include "muster/broker_view.h"

#include "core/queue_account.h"
#include "net/framed_stream.h"

namespace muster::broker {
class BrokerServer;
}

namespace muster::daemon {

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
  // The server outlives it. Only const functions of its core are called.
  EndDelivery(BroadcastId broadcast, broker::BrokerServer& server) noexcept
      : broadcast_(broadcast), server_(server) {}

  [[nodiscard]] BroadcastId broadcast() const noexcept { return broadcast_; }
  // The payload of the report, in the user's account. Null when there is no room for it there.
  [[nodiscard]] net::SharedBytes report(uid_t uid, const AnswerAccount& account);

 private:
  const BroadcastId broadcast_;
  broker::BrokerServer& server_;
  std::optional<std::string> report_;
  std::map<uid_t, net::SharedBytes> reports_;  // one for all of a user's
};

}  // namespace muster::daemon
