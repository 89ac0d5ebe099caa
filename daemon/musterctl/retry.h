// Which backends a broadcast is repeated for. Pure.
#pragma once

#include "muster/backend_key.h"
#include "muster/report.h"
#include "muster/selector.h"

namespace muster::ctl {

// Selects the backend with that key, and no other. (What a process that shares its key was called
// is selected with it: see Selector::matches().)
[[nodiscard]] Selection selection_of_key(const BackendKey& key);
// Those that were asked and did not ack.
[[nodiscard]] Selection selection_of_not_acked(const BroadcastReport& report);

}  // namespace muster::ctl
