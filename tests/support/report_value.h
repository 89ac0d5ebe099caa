// The report of a broadcast as a value, for tests that keep or compare it.
#pragma once

#include <utility>
#include <variant>

#include "core/broker.h"

namespace muster::test {

inline std::variant<BroadcastReport, ControlError> report_value(const core::Broker& broker,
                                                                BroadcastId id, core::Now now) {
  auto report = broker.report(id, now);
  if (auto* error = std::get_if<ControlError>(&report)) return std::move(*error);
  return to_value(std::get<core::BroadcastRows>(report));
}

}  // namespace muster::test
