#include "muster/lifecycle_broadcast_model.h"

#include <algorithm>
#include <utility>

namespace muster {

std::optional<BroadcastBackend> LifecycleBroadcastModel::register_backend(
    BroadcastBackend backend) {
  if (auto* existing = this->backend(backend.key())) {
    return std::exchange(*existing, std::move(backend));
  }
  backends_.push_back(std::move(backend));
  return std::nullopt;
}

const BroadcastBackend* LifecycleBroadcastModel::backend(const BackendKey& key) const noexcept {
  const auto found = std::find_if(backends_.begin(), backends_.end(),
                                  [&](const auto& backend) { return backend.key() == key; });
  return found == backends_.end() ? nullptr : &*found;
}

BroadcastBackend* LifecycleBroadcastModel::backend(const BackendKey& key) noexcept {
  return const_cast<BroadcastBackend*>(std::as_const(*this).backend(key));
}

BroadcastResult LifecycleBroadcastModel::release_handles_under_path(std::string path_prefix) {
  return broadcast(BroadcastOperation::release_handles(std::move(path_prefix)));
}

BroadcastResult LifecycleBroadcastModel::quiesce(QuiesceReason reason) {
  return broadcast(BroadcastOperation::quiesce(reason));
}

BroadcastResult LifecycleBroadcastModel::broadcast(const BroadcastOperation& operation) {
  BroadcastResult result(operation);
  for (auto& backend : backends_) {
    if (!backend.is_live()) {
      result.skipped_dead.push_back(backend.key());
      continue;
    }
    backend.received_.push_back(operation);
    if (const auto reason = backend.response().failure_reason()) {
      result.failures.push_back({backend.key(), *reason});
    } else if (backend.response().is_timeout()) {
      result.timeouts.push_back({backend.key(), policy_.ack_timeout});
    } else {
      result.acks.push_back({backend.key()});
    }
  }
  return result;
}

}  // namespace muster
