// musterd's exit statuses, as --help documents them.
#pragma once

namespace muster::daemon {

inline constexpr int kExitClean = 0;
inline constexpr int kExitCannotRun = 1;  // a socket, a directory, a second broker
inline constexpr int kExitUsage = 2;      // the command line or the configuration
// The names of sockets that a service manager passed are gone: it is to make them again.
inline constexpr int kExitSocketsGone = 3;

}  // namespace muster::daemon
