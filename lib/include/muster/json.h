// Values as JSON, with Protobuf's own field names (proto/muster/v1/control.proto), one line each.
// Every field is present but those that a schema calls optional, or that are a message, where there
// is none. 64-bit numbers are JSON strings, as Protobuf's JSON mapping has them.
#pragma once

#include <string>
#include <vector>

#include "muster/access.h"
#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/history.h"
#include "muster/holders.h"

namespace muster {

[[nodiscard]] std::string to_json(const BroadcastReport& report);
[[nodiscard]] std::string to_json(const std::vector<BackendInfo>& backends);
[[nodiscard]] std::string to_json(const BrokerStatus& status);
[[nodiscard]] std::string to_json(const DryRun& dry_run);
[[nodiscard]] std::string to_json(const Event& event);
[[nodiscard]] std::string to_json(const PolicyExplanation& explanation);
[[nodiscard]] std::string to_json(const ControlError& error);
[[nodiscard]] std::string to_json(const HolderScan& scan);
[[nodiscard]] std::string to_json(const HoldInfo& hold);
[[nodiscard]] std::string to_json(const std::vector<HoldInfo>& holds);
[[nodiscard]] std::string to_json(const HistoryPage& page);

}  // namespace muster
