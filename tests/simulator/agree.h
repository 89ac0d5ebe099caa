// Comparisons that say what they compared.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "muster/broker_view.h"
#include "muster/control_error.h"

#include "simulator/violation.h"

namespace muster::simulator {

// Both hold the same: values that same() accepts, or an error of the same kind.
template <class Value, class Expected, class Same>
void must_agree(const std::string& what, const std::variant<Value, ControlError>& is,
                const std::variant<Expected, ControlError::Code>& should_be, Same same) {
  const auto* error = std::get_if<ControlError>(&is);
  const auto* wanted = std::get_if<ControlError::Code>(&should_be);
  if (error == nullptr && wanted == nullptr) return same(std::get<0>(is), std::get<0>(should_be));
  if (error == nullptr) {
    throw Violation(what + " is not refused and should be: " + std::string(to_string(*wanted)));
  }
  if (wanted == nullptr) throw Violation(what + " is refused and should not be: " + error->message);
  if (error->code != *wanted || error->message.empty()) {
    throw Violation(what + " is refused as " + std::string(to_string(error->code)) +
                    " and not as " + std::string(to_string(*wanted)));
  }
}

// For people, indented.
[[nodiscard]] std::string show(const BroadcastReport& report);
[[nodiscard]] std::string show(const BackendOutcome& outcome);
[[nodiscard]] std::string show(const std::vector<BackendInfo>& backends);
[[nodiscard]] std::string show(const std::vector<UserUsage>& users);

}  // namespace muster::simulator
