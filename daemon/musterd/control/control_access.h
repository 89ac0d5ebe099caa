// What a request of an operator is, as far as policy is concerned. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/access_policy.h"
#include "wire/control_lane.h"

namespace muster::daemon {

// All that it needs leave for; nothing for taking back a request of one's own. `path` keeps what
// the first act points to. A path that is none stays empty, which no rule about paths matches; a
// rule about all paths lets it through to the core, which refuses it.
[[nodiscard]] std::vector<core::ControlAct> acts_of(
    const decltype(wire::ControlRequestFrame::message)& request, std::string& path);

// The other spelling of a release's path, made normal; empty where there is none.
[[nodiscard]] std::string alias_of(const decltype(wire::ControlRequestFrame::message)& request);

}  // namespace muster::daemon
