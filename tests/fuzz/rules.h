// Access rules and questions about them, read off a fuzzer's input.
#pragma once

#include "muster/access.h"

#include "core/access_policy.h"
#include "fuzz/input.h"

namespace muster::fuzz {

// A few rules of each list over the users and groups 0, 1000 and 1001.
[[nodiscard]] core::AccessPolicy rules(Input& input);
[[nodiscard]] PolicyQuestion policy_question(Input& input);

}  // namespace muster::fuzz
