// The client that a command asks its broker with.
#pragma once

#include <chrono>
#include <string>

#include "muster/control.h"

#include "musterctl/command.h"

namespace muster::ctl {

// Connects to the broker of `to`. With `prints`, calls that wait end with ControlFailure kStopped
// when nobody can read standard output any more: there is nobody to wait for.
// REQUIRES: `to` outlives the client.
[[nodiscard]] ControlClient make_client(
    const Invocation& to, bool prints,
    std::chrono::milliseconds patience = ControlClient::kPatience);

}  // namespace muster::ctl
