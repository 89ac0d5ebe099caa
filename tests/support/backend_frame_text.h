// What a backend sends, as one line of text, so that a test compares once.
#pragma once

#include <string>

#include "wire/backend_lane.h"

namespace muster::test {

// "Register zccache 1.0.0", "Ack 7", "Failure 7 Rejected: busy", "Working 7 +300 ms 40% note",
// "Activity", "Deregister", "CANCEL 7".
[[nodiscard]] std::string text_of(const wire::BackendFrame& frame);

}  // namespace muster::test
