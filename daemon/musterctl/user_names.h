// Who a process belongs to, by name.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <sys/types.h>

#include "muster/report.h"

namespace muster::ctl {

// The name of a user, empty when nobody knows one. Rendering takes this as an argument, so that it
// stays pure.
using UserName = std::function<std::string(uid_t)>;

// Asks `look_up` once for each uid, on a thread of its own. All calls together wait at most
// `patience`: names that did not come by then are empty, and nobody is asked any more. So a name
// service that hangs delays a verdict by no more than that.
[[nodiscard]] UserName bounded_user_names(UserName look_up, std::chrono::milliseconds patience);

// The system's databases, within 200 ms in all each. The same for every caller.
[[nodiscard]] UserName user_names_of_system();
[[nodiscard]] std::function<std::string(gid_t)> group_names_of_system();
// A look-up has not come back: its thread is in the name service, so that destructors of static
// objects would run beside it.
[[nodiscard]] bool names_are_pending();

// "alice (1000)", or "1000".
[[nodiscard]] std::string shown_user(uid_t uid, const UserName& name);
// "pid 814, uid 1000 alice"; a pid that the broker cannot see is left out.
[[nodiscard]] std::string shown_process(pid_t pid, uid_t uid, const UserName& name);
// "alice (uid 1000), pid 4711, musterctl"; what is not known is left out.
[[nodiscard]] std::string shown_operator(const Operator& who, const UserName& name);

}  // namespace muster::ctl
