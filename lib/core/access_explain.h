// Explains what a policy allows a user: step by step, with the rule that decides each. Pure.
#pragma once

#include <variant>

#include "muster/access.h"
#include "muster/control_error.h"

#include "core/access_policy.h"

namespace muster::core {

// kInvalid for a service, instance or path that could never be asked for. A null policy allows
// everything.
[[nodiscard]] std::variant<PolicyExplanation, ControlError> explain(const AccessPolicyPtr& policy,
                                                                    const PolicyQuestion& question);

}  // namespace muster::core
