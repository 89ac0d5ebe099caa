// Signals that ask musterctl to end while it waits.
#pragma once

namespace muster::ctl {

// The signal that came (SIGINT, SIGTERM or SIGHUP) or 0. From the first call on these no longer end
// the process, once: a second one does. One that was ignored at the start stays ignored.
[[nodiscard]] int interrupted_by();

}  // namespace muster::ctl
