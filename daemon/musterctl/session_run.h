// A broadcast to the host's broker and those of user sessions: one report each, one exit status.
#pragma once

#include <functional>

#include "muster/broker_view.h"

#include "musterctl/broadcast_options.h"
#include "musterctl/command.h"

namespace muster::ctl {

// Whether this request goes to user sessions, too: root's, unless it names a broker itself.
[[nodiscard]] bool asks_sessions(const Invocation& to, const BroadcastOptions& options);

// `host` asks the host's broker, prints to the console of the Invocation it is given and returns
// the exit status; it may throw ControlFailure.
int run_with_sessions(const Invocation& to, const BroadcastOptions& options,
                      const BroadcastRequest& request,
                      const std::function<int(const Invocation&)>& host);

}  // namespace muster::ctl
