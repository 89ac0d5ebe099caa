// What happens in a broker, one sentence an event. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "muster/broker_view.h"

#include "musterctl/user_names.h"

namespace muster::ctl {

// "soldr 2.0.1 (pid 814, uid 1000) timed out: no answer within 2 s"
[[nodiscard]] std::string show_event(const Event& event);
// With the local time before it, the broadcast and who asked, for a log of everything.
[[nodiscard]] std::string show_watched_event(const Event& event, const UserName& user);

// The events of one broadcast as lines for a file or a pipe: what an operator wants to see there,
// and no more than `most` of each kind of outcome.
class PlainProgress {
 public:
  explicit PlainProgress(std::size_t most = 50) : most_(most) {}

  // With its newline; empty when the event is not worth one.
  [[nodiscard]] std::string line(const Event& event);

 private:
  std::size_t most_;
  std::map<std::string, std::size_t, std::less<>> written_;  // by outcome word
};

}  // namespace muster::ctl
