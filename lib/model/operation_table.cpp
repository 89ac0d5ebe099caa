#include "model/operation_table.h"

#include <array>
#include <utility>
#include <variant>

#include "muster/path.h"
#include "muster/text.h"

namespace muster {
namespace {

constexpr auto kOperations = std::to_array<OperationRow>({
    {OperationKind::kReleaseHandles, "release-handles", "release_handles", ControlAction::kRelease},
    {OperationKind::kQuiesce, "quiesce", "quiesce", ControlAction::kQuiesce},
    {OperationKind::kPreflight, "preflight", "preflight", std::nullopt},
});

constexpr auto kActions = std::to_array<ActionRow>({
    {ControlAction::kLook, "look", "May it see backends, status, results and events?"},
    {ControlAction::kRelease, "release", "May it release PATH?", true},
    {ControlAction::kQuiesce, "quiesce", "May it quiesce backends?"},
    {ControlAction::kCancel, "cancel", "May it cancel a broadcast?"},
    {ControlAction::kInspect, "inspect", "May it see who has files in use?"},
    {ControlAction::kHold, "hold", "May it start and end holds?"},
});

static_assert(kOperations.size() == BroadcastOperation::kKnown, "each operation has one row");

constexpr bool stands_in_order() {
  for (std::size_t i = 0; i < kOperations.size(); ++i) {
    if (static_cast<std::size_t>(kOperations[i].kind) != i) return false;
  }
  for (std::size_t i = 0; i < kActions.size(); ++i) {
    if (static_cast<std::size_t>(kActions[i].action) != i) return false;
  }
  return static_cast<std::size_t>(OperationKind::kUnknown) == kOperations.size();
}
static_assert(stands_in_order(), "rows stand in the order of their enumerations");

constexpr bool every_operation_has_an_action() {
  for (const OperationRow& row : kOperations) {
    if (row.action && static_cast<std::size_t>(*row.action) >= kActions.size()) return false;
    if (!row.action && row.kind != OperationKind::kPreflight) return false;
  }
  return true;
}
static_assert(every_operation_has_an_action(), "the action of each operation has a row");

// What stands behind an operation's name.
struct ArgumentText {
  std::string operator()(const ReleaseHandles& release) const {
    return ' ' + escape_bytes(release.path_prefix);
  }
  std::string operator()(const Quiesce& quiesce) const {
    return " (" + std::string(to_string(quiesce.reason)) + ')';
  }
  std::string operator()(const Preflight& preflight) const {
    const auto text = [](const auto& about) {
      return BroadcastOperation::preflight(about).real().to_string();
    };
    return " of " + std::visit(text, preflight.about);
  }
  std::string operator()(const UnknownOperation& /*unknown*/) const { return {}; }
};

struct Normal {
  BroadcastOperation& operation;

  std::string operator()(const ReleaseHandles& release) const {
    NormalizedPath path = normalize_path_prefix(release.path_prefix);
    if (!path.problem.empty()) return std::move(path.problem);
    std::string alias;
    if (!release.alias.empty()) {
      NormalizedPath asked = normalize_path_prefix(release.alias);
      if (!asked.problem.empty()) return "the alias: " + std::move(asked.problem);
      if (asked.path != path.path) alias = std::move(asked.path);
    }
    operation = BroadcastOperation::release_handles(std::move(path.path), std::move(alias));
    return {};
  }
  std::string operator()(const Quiesce& /*quiesce*/) const { return {}; }
  std::string operator()(const Preflight& /*preflight*/) const {
    BroadcastOperation real = operation.real();
    std::string problem = normalize(real);
    if (problem.empty()) operation = BroadcastOperation::preflight_of(real);
    return problem;
  }
  std::string operator()(const UnknownOperation& /*unknown*/) const {
    return unknown_operation_problem();
  }
};

struct OperationTexts {
  using Texts = std::array<std::string_view, 2>;

  Texts operator()(const ReleaseHandles& release) const {
    return {release.path_prefix, release.alias};
  }
  Texts operator()(const Quiesce& /*quiesce*/) const { return {}; }
  Texts operator()(const Preflight& preflight) const { return std::visit(*this, preflight.about); }
  Texts operator()(const UnknownOperation& /*unknown*/) const { return {}; }
};

}  // namespace

std::string normalize(BroadcastOperation& operation) {
  return std::visit(Normal{operation}, operation.content());
}

std::array<std::string_view, 2> texts_of(const BroadcastOperation& operation) {
  return std::visit(OperationTexts(), operation.content());
}

std::span<const OperationRow> all_operations() noexcept { return kOperations; }

const OperationRow* row_of(OperationKind kind) noexcept {
  const auto index = static_cast<std::size_t>(kind);
  return index < kOperations.size() ? &kOperations.at(index) : nullptr;
}

std::optional<ControlAction> action_of(const BroadcastOperation& operation) noexcept {
  const OperationRow* row = row_of(operation.real_kind());
  return row == nullptr ? std::nullopt : row->action;
}

std::span<const ActionRow> all_actions() noexcept { return kActions; }

std::string unknown_operation_problem() {
  std::string fields;
  for (const OperationRow& row : kOperations) {
    if (!fields.empty()) fields += &row == &kOperations.back() ? " or " : ", ";
    fields += row.field;
  }
  return "the operation is missing or not known: it must be " + fields;
}

std::string BroadcastOperation::to_string() const {
  const OperationRow* row = row_of(kind());
  if (row == nullptr) return "an unknown operation";
  return std::string(row->name) + std::visit(ArgumentText(), content_);
}

std::string_view to_string(ControlAction action) noexcept {
  const auto index = static_cast<std::size_t>(action);
  return index < kActions.size() ? kActions.at(index).word : "?";
}

}  // namespace muster
