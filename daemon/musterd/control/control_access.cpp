#include "musterd/control/control_access.h"

#include <utility>
#include <variant>

#include "muster/path.h"

#include "model/operation_table.h"

namespace muster::daemon {
namespace {

using core::ControlAct;

// A new request does not compile until it is decided here what it takes.
struct ActOf {
  std::string& path;

  std::optional<ControlAct> operator()(const wire::StartBroadcast& start) const {
    // A dry run as well: it says what the real one would do.
    const BroadcastOperation& operation = start.request.operation;
    const OperationRow* row = row_of(operation.kind());
    if (row == nullptr) return look();  // the core refuses it
    if (const auto* release = operation.as_release_handles()) {
      path = normalize_path_prefix(release->path_prefix).path;
    }
    return ControlAct{row->action, path};
  }
  std::optional<ControlAct> operator()(const wire::CancelBroadcast& /*request*/) const {
    return ControlAct{ControlAction::kCancel, {}};
  }
  std::optional<ControlAct> operator()(const wire::Resume& /*request*/) const {
    return ControlAct{ControlAction::kQuiesce, {}};
  }
  std::optional<ControlAct> operator()(const wire::ForgetBackend& /*request*/) const {
    return ControlAct{ControlAction::kCancel, {}};
  }
  std::optional<ControlAct> operator()(const wire::FindHolders& /*request*/) const {
    return ControlAct{ControlAction::kInspect, {}};
  }
  std::optional<ControlAct> operator()(const wire::EndHold& /*request*/) const {
    return ControlAct{ControlAction::kHold, {}};
  }
  std::optional<ControlAct> operator()(const wire::KeepHold& /*request*/) const {
    return ControlAct{ControlAction::kHold, {}};
  }
  std::optional<ControlAct> operator()(const wire::ListHolds& /*request*/) const { return look(); }
  std::optional<ControlAct> operator()(const wire::Ping& /*request*/) const { return look(); }
  std::optional<ControlAct> operator()(const wire::GetReport& /*request*/) const { return look(); }
  std::optional<ControlAct> operator()(const wire::ListBackends& /*r*/) const { return look(); }
  std::optional<ControlAct> operator()(const wire::GetStatus& /*request*/) const { return look(); }
  std::optional<ControlAct> operator()(const wire::Watch& /*request*/) const { return look(); }
  std::optional<ControlAct> operator()(const PolicyQuestion& /*request*/) const { return look(); }
  std::optional<ControlAct> operator()(const wire::Cancel& /*request*/) const { return {}; }

  static ControlAct look() { return {ControlAction::kLook, {}}; }
};

}  // namespace

std::optional<ControlAct> act_of(const decltype(wire::ControlRequestFrame::message)& request,
                                 std::string& path) {
  return std::visit(ActOf{path}, request);
}

std::string alias_of(const decltype(wire::ControlRequestFrame::message)& request) {
  const auto* start = std::get_if<wire::StartBroadcast>(&request);
  const auto* release = start == nullptr ? nullptr : start->request.operation.as_release_handles();
  if (release == nullptr || release->alias.empty()) return {};
  // One that is none is refused by the core.
  return normalize_path_prefix(release->alias).path;
}

}  // namespace muster::daemon
