// What a broker says of itself, for an operator: its backends as a table, its status. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "muster/broker_view.h"

#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

struct ViewStyle {
  Paint paint;
  UserName user = user_names_of_system();
  std::uint64_t now_unix_ms = 0;
  bool selective = false;  // of some backends, not of all
};

[[nodiscard]] std::string show_backends(const std::vector<BackendInfo>& backends,
                                        const ViewStyle& style);
[[nodiscard]] std::string show_status(const BrokerStatus& status, const ViewStyle& style);

}  // namespace muster::ctl
