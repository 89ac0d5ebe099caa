// Operations to Protobuf and back: as they are asked for, as they are shown, and what policy calls
// them. A new operation needs an entry in each, and does not compile without it.
//
// The fields' names stand in model/operation_table.cpp; model_operation_table_test.cpp and
// wire_shape_test.cpp hold the schema against both.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>

#include "muster/access.h"
#include "muster/operation.h"
#include "muster/text.h"
#include "muster/v1/control.pb.h"

#include "model/operation_table.h"
#include "wire/values.h"

namespace muster::wire {

// Those of StartBroadcast.
inline constexpr std::array kStartFields{
    static_cast<int>(v1::StartBroadcast::kReleaseHandlesFieldNumber),
    static_cast<int>(v1::StartBroadcast::kQuiesceFieldNumber),
    static_cast<int>(v1::StartBroadcast::kPreflightFieldNumber),
};
static_assert(kStartFields.size() == BroadcastOperation::kKnown, "each operation has its field");

inline std::string take_quiesce(const v1::Quiesce& in,
                                std::optional<BroadcastOperation>& operation) {
  auto reason = QuiesceReason::kMaintenance;
  auto problem = value_of(kQuiesceReasons, "the reason to quiesce", in.reason(), reason);
  if (problem.empty()) operation = BroadcastOperation::quiesce(reason);
  return problem;
}

inline void put_quiesce(const Quiesce& quiesce, v1::Quiesce& out) {
  out.set_reason(proto_of(kQuiesceReasons, quiesce.reason));
}

// As it is asked for.
template <typename Proto>
struct PutOperation;
// What a preflight is about.
template <>
struct PutOperation<v1::Preflight> {
  v1::Preflight& out;

  void operator()(const ReleaseHandles& release) const {
    out.mutable_release_handles()->set_path_prefix(release.path_prefix);
    out.mutable_release_handles()->set_alias(release.alias);
  }
  void operator()(const Quiesce& quiesce) const { put_quiesce(quiesce, *out.mutable_quiesce()); }
};
template <typename Proto>
struct PutOperation {
  Proto& out;

  void operator()(const ReleaseHandles& release) const {
    out.mutable_release_handles()->set_path_prefix(release.path_prefix);
    out.mutable_release_handles()->set_alias(release.alias);
  }
  void operator()(const Quiesce& quiesce) const { put_quiesce(quiesce, *out.mutable_quiesce()); }
  void operator()(const Preflight& preflight) const {
    std::visit(PutOperation<v1::Preflight>{*out.mutable_preflight()}, preflight.about);
  }
  void operator()(const UnknownOperation& /*unknown*/) const {}
};

// As it is shown.
template <typename Proto>
struct ShowOperation {
  Proto& out;

  void operator()(const ReleaseHandles& release) const {
    auto& shown = *out.mutable_release_handles();
    shown.set_path_prefix(escape_bytes(release.path_prefix));
    if (shown.path_prefix() != release.path_prefix) {
      shown.set_path_prefix_bytes(release.path_prefix);
    }
    shown.set_alias(escape_bytes(release.alias));
    if (shown.alias() != release.alias) shown.set_alias_bytes(release.alias);
  }
  void operator()(const Quiesce& quiesce) const { put_quiesce(quiesce, *out.mutable_quiesce()); }
  void operator()(const Preflight& preflight) const {
    std::visit(ShowOperation<v1::ReportedOperation::Asked>{*out.mutable_preflight()},
               preflight.about);
  }
  void operator()(const UnknownOperation& /*unknown*/) const {}
};

template <typename Proto>
void operation_to_proto(const BroadcastOperation& operation, Proto& out) {
  std::visit(PutOperation<Proto>{out}, operation.content());
}

template <typename Proto>
std::string operation_from_proto(const Proto& in, std::optional<BroadcastOperation>& operation) {
  switch (in.operation_case()) {
    case Proto::kReleaseHandles:
      operation = BroadcastOperation::release_handles(in.release_handles().path_prefix(),
                                                      in.release_handles().alias());
      return {};
    case Proto::kQuiesce:
      return take_quiesce(in.quiesce(), operation);
    default:
      break;
  }
  if constexpr (!std::is_same_v<Proto, v1::Preflight>) {
    if (in.operation_case() == Proto::kPreflight) {
      auto problem = operation_from_proto(in.preflight(), operation);
      if (problem.empty()) operation = BroadcastOperation::preflight_of(*operation);
      return problem;
    }
  }
  return unknown_operation_problem();
}

inline void to_proto(const BroadcastOperation& operation, v1::ReportedOperation& out) {
  std::visit(ShowOperation<v1::ReportedOperation>{out}, operation.content());
}

inline BroadcastOperation release_of(const v1::ReportedOperation::Release& shown) {
  return BroadcastOperation::release_handles(
      shown.path_prefix_bytes().empty() ? shown.path_prefix() : shown.path_prefix_bytes(),
      shown.alias_bytes().empty() ? shown.alias() : shown.alias_bytes());
}

inline std::string from_proto(const v1::ReportedOperation& in,
                              std::optional<BroadcastOperation>& operation) {
  switch (in.operation_case()) {
    case v1::ReportedOperation::kReleaseHandles:
      operation = release_of(in.release_handles());
      return {};
    case v1::ReportedOperation::kPreflight: {
      const auto& asked = in.preflight();
      if (asked.has_release_handles()) {
        operation = BroadcastOperation::preflight_of(release_of(asked.release_handles()));
        return {};
      }
      if (asked.has_quiesce() && take_quiesce(asked.quiesce(), operation).empty()) {
        operation = BroadcastOperation::preflight_of(*operation);
        return {};
      }
      break;
    }
    case v1::ReportedOperation::kQuiesce:
      if (take_quiesce(in.quiesce(), operation).empty()) return {};
      break;
    case v1::ReportedOperation::OPERATION_NOT_SET:
      break;
  }
  // Of a newer broker: its report says all the same who acked.
  operation = BroadcastOperation::unknown();
  return {};
}

inline constexpr EnumTable<ControlAction, v1::ExplainPolicy::Action, 6> kControlActions{{
    {ControlAction::kLook, v1::ExplainPolicy::LOOK},
    {ControlAction::kRelease, v1::ExplainPolicy::RELEASE},
    {ControlAction::kQuiesce, v1::ExplainPolicy::QUIESCE},
    {ControlAction::kCancel, v1::ExplainPolicy::CANCEL},
    {ControlAction::kInspect, v1::ExplainPolicy::INSPECT},
    {ControlAction::kHold, v1::ExplainPolicy::HOLD},
}};
static_assert(kControlActions.size() == v1::ExplainPolicy::Action_ARRAYSIZE,
              "a row for each action");

inline v1::ExplainPolicy::Action to_proto(ControlAction action) noexcept {
  return proto_of(kControlActions, action);
}

inline std::string from_proto(v1::ExplainPolicy::Action in, ControlAction& action) {
  return value_of(kControlActions, "the question's action", in, action);
}

}  // namespace muster::wire
