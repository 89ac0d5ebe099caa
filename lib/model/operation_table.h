// The operations and the actions of operators, a row each: all that one of them is called, and what
// policy asks of it. The wire, policy, the SDK, musterctl and texts read it here.
//
// Whatever must do something of its own for each operation switches over OperationKind without a
// default, or visits BroadcastOperation::content(). "Not this one" never means another one.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "muster/access.h"
#include "muster/operation.h"

namespace muster {

struct OperationRow {
  OperationKind kind = OperationKind::kUnknown;
  std::string_view name;   // in texts: "release-handles"; where it has one, musterctl's command
  std::string_view field;  // of each oneof `operation` on the wire, and in JSON: "release_handles"
  // That policy must allow to the operator. Of a preflight none: action_of() has that of the
  // operation that it asks about.
  std::optional<ControlAction> action;
};

struct ActionRow {
  ControlAction action = ControlAction::kLook;
  std::string_view word;      // in policies, and the option of explain-policy: "release"
  std::string_view question;  // that option's help
  bool has_path = false;      // it is about a path
};

// In the order of OperationKind, without the unknown one.
[[nodiscard]] std::span<const OperationRow> all_operations() noexcept;
// Null for the unknown one.
[[nodiscard]] const OperationRow* row_of(OperationKind kind) noexcept;
// The action that policy must allow to the operator who asks for it. None for the unknown one.
[[nodiscard]] std::optional<ControlAction> action_of(const BroadcastOperation& operation) noexcept;
// In the order of ControlAction.
[[nodiscard]] std::span<const ActionRow> all_actions() noexcept;

// Makes it what the core asks for: paths lexically normal, and no alias that is the path itself.
// A sentence when it is no operation that can be asked for; it is unchanged then.
[[nodiscard]] std::string normalize(BroadcastOperation& operation);
// What of it has any length, "" for the rest.
[[nodiscard]] std::array<std::string_view, 2> texts_of(const BroadcastOperation& operation);
// Why a request for no operation, or an unknown one, is refused.
[[nodiscard]] std::string unknown_operation_problem();

}  // namespace muster
