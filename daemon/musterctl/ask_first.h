// --ask-first: a round in which every backend only says whether it would, before the one in which
// it does. Unless everybody would, nothing is released.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "muster/operation.h"

#include "musterctl/options.h"
#include "musterctl/program.h"

namespace muster::ctl {

struct FirstAnswer {
  int status = 0;    // kAllAcked: everybody would. Else it was said why not
  std::string json;  // of the last report; empty without --json
};

// Says that all would, and that no time is left for the operation. Returns the exit status.
[[nodiscard]] int time_is_over(const Invocation& to);

// Asks for one operation after another, all of them, within the timeout and the deadline of
// `options`, each of which is for the whole. `with_sessions`: the brokers of user sessions, too.
// Throws ControlFailure.
[[nodiscard]] FirstAnswer ask_first(const Invocation& to, const BroadcastOptions& options,
                                    const std::vector<BroadcastOperation>& operations,
                                    bool with_sessions);

// Asks first, and calls `real` if everybody would, with what is left of the timeout and the
// deadline. With --json the object that it prints first gets a member "preflight", the report of
// the asking; if somebody objects that is the only member.
[[nodiscard]] int run_after_asking(
    const Invocation& to, const BroadcastOptions& options, const BroadcastOperation& operation,
    bool with_sessions, const std::function<int(const Invocation&, const BroadcastOptions&)>& real);

}  // namespace muster::ctl
