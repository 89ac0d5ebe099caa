#include "musterd/control/control_access.h"

#include <utility>
#include <variant>

#include "muster/path.h"

#include "model/operation_table.h"

namespace muster::daemon {
namespace {

using core::ControlAct;

using Acts = std::vector<ControlAct>;

// A new request does not compile until it is decided here what it takes.
struct ActsOf {
  std::string& path;

  Acts operator()(const wire::StartBroadcast& start) const {
    // A dry run as well: it says what the real one would do.
    const BroadcastRequest& request = start.request;
    // A preflight as well: who may not release may not ask either.
    const auto action = action_of(request.operation);
    if (!action) return look();  // the core refuses it
    if (const auto* release = request.operation.about_release()) {
      path = normalize_path_prefix(release->path_prefix).path;
    }
    Acts acts{ControlAct{*action, path}};
    if (request.verify) acts.push_back(ControlAct{ControlAction::kInspect, {}});
    if (request.hold) acts.push_back(ControlAct{ControlAction::kHold, {}});
    return acts;
  }
  Acts operator()(const wire::CancelBroadcast& /*request*/) const {
    return just(ControlAction::kCancel);
  }
  Acts operator()(const wire::Resume& /*request*/) const { return just(ControlAction::kQuiesce); }
  Acts operator()(const wire::ForgetBackend& /*request*/) const {
    return just(ControlAction::kCancel);
  }
  Acts operator()(const wire::FindHolders& /*request*/) const {
    return just(ControlAction::kInspect);
  }
  Acts operator()(const wire::EndHold& /*request*/) const { return just(ControlAction::kHold); }
  Acts operator()(const wire::KeepHold& /*request*/) const { return just(ControlAction::kHold); }
  Acts operator()(const wire::ListHolds& /*request*/) const { return look(); }
  Acts operator()(const HistoryQuery& /*request*/) const { return look(); }
  Acts operator()(const wire::Ping& /*request*/) const { return look(); }
  Acts operator()(const wire::GetReport& /*request*/) const { return look(); }
  Acts operator()(const wire::ListBackends& /*r*/) const { return look(); }
  Acts operator()(const wire::GetStatus& /*request*/) const { return look(); }
  Acts operator()(const wire::Watch& /*request*/) const { return look(); }
  Acts operator()(const PolicyQuestion& /*request*/) const { return look(); }
  Acts operator()(const wire::Cancel& /*request*/) const { return {}; }

  static Acts just(ControlAction action) { return {ControlAct{action, {}}}; }
  static Acts look() { return just(ControlAction::kLook); }
};

}  // namespace

std::vector<ControlAct> acts_of(const decltype(wire::ControlRequestFrame::message)& request,
                                std::string& path) {
  return std::visit(ActsOf{path}, request);
}

std::string alias_of(const decltype(wire::ControlRequestFrame::message)& request) {
  const auto* start = std::get_if<wire::StartBroadcast>(&request);
  const auto* release = start == nullptr ? nullptr : start->request.operation.about_release();
  if (release == nullptr || release->alias.empty()) return {};
  // One that is none is refused by the core.
  return normalize_path_prefix(release->alias).path;
}

}  // namespace muster::daemon
