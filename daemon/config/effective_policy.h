// The policy in force: what the file says, and then what is built in. Pure.
#pragma once

#include <sys/types.h>

#include "core/access_policy.h"

namespace muster::daemon {

// After the rules of the file: root and `own`, the broker's own user, may do everything. A socket
// that no connect rule is about lets in whoever a register (control) rule allows something.
[[nodiscard]] core::AccessPolicyPtr effective_policy(const core::AccessPolicy& rules, uid_t own);

}  // namespace muster::daemon
