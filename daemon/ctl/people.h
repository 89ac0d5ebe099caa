// Who a process belongs to, by name.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>

namespace muster::ctl {

// The name of a user, empty when nobody knows one. Rendering takes this as an argument, so that it
// stays pure.
using UserName = std::function<std::string(uid_t)>;

// Asks the system's user database, once for each uid.
[[nodiscard]] UserName user_names_of_system();

// "alice (1000)", or "1000".
[[nodiscard]] std::string shown_user(uid_t uid, const UserName& name);
// "pid 814, uid 1000 alice"; a pid that the broker cannot see is left out.
[[nodiscard]] std::string shown_process(pid_t pid, uid_t uid, const UserName& name);

}  // namespace muster::ctl
