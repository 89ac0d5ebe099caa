// The policy in force: what the file says, and then what is built in. Pure.
#pragma once

#include <sys/types.h>

#include "core/access_policy.h"

namespace muster::daemon {

// What a rule that denies has as its remark while a name in it cannot be looked up: it denies
// everybody then. Root and `own` are let through before it, as nothing else could repair the host.
inline constexpr const char* kUnresolvedRemark = "a name of it cannot be looked up";

// After the rules of the file: root and `own`, the broker's own user, may do everything. A socket
// that no connect rule is about lets in whoever a register (control) rule allows something.
[[nodiscard]] core::AccessPolicyPtr effective_policy(const core::AccessPolicy& rules, uid_t own);

}  // namespace muster::daemon
