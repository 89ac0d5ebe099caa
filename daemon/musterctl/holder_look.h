// Who has files in use, as the broker sees it, with the keys that it knows processes by.
#pragma once

#include <string>
#include <vector>

#include "muster/control.h"
#include "muster/holders.h"

namespace muster::ctl {

// The broker does not name them in a scan that is no broadcast's. Nothing changes where it does not
// say who its backends are.
void name_backends(ControlClient& client, std::vector<HolderScan>& scans);

// A scan by the broker, of the caller's mount namespace. Throws ControlFailure.
[[nodiscard]] HolderScan look_by_broker(ControlClient& client, const std::string& path);

// The same process or object of the kernel, whatever it holds.
[[nodiscard]] bool is_same_holder(const Holder& one, const Holder& other);

}  // namespace muster::ctl
