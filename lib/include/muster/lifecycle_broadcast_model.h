// The model of a broadcast: what a result must be, without sockets, clocks or processes.
//
// It is the oracle that the engine is tested against, and can be used to test a tool
// that reads a BroadcastResult. Not thread-safe: one thread at a time.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "muster/backend_key.h"
#include "muster/operation.h"
#include "muster/policy.h"
#include "muster/result.h"

namespace muster {

// What a modelled backend does with every operation.
class BroadcastBackendResponse {
 public:
  [[nodiscard]] static BroadcastBackendResponse ack() {
    return BroadcastBackendResponse(Kind::kAck, {});
  }
  [[nodiscard]] static BroadcastBackendResponse timeout() {
    return BroadcastBackendResponse(Kind::kTimeout, {});
  }
  [[nodiscard]] static BroadcastBackendResponse failure(BroadcastFailureReason reason) {
    return BroadcastBackendResponse(Kind::kFailure, reason);
  }

  [[nodiscard]] bool is_ack() const noexcept { return kind_ == Kind::kAck; }
  [[nodiscard]] bool is_timeout() const noexcept { return kind_ == Kind::kTimeout; }
  // Nothing unless it is a failure.
  [[nodiscard]] std::optional<BroadcastFailureReason> failure_reason() const noexcept {
    if (kind_ != Kind::kFailure) return std::nullopt;
    return reason_;
  }

  friend bool operator==(const BroadcastBackendResponse&,
                         const BroadcastBackendResponse&) = default;

 private:
  enum class Kind { kAck, kTimeout, kFailure };
  BroadcastBackendResponse(Kind kind, BroadcastFailureReason reason)
      : kind_(kind), reason_(reason) {}

  Kind kind_;
  BroadcastFailureReason reason_;
};

// One backend's endpoint in the model.
class BroadcastBackend {
 public:
  // A live endpoint that acknowledges.
  [[nodiscard]] static BroadcastBackend live(BackendKey key) { return {std::move(key), true}; }
  // A dead endpoint, which a broadcast skips.
  [[nodiscard]] static BroadcastBackend dead(BackendKey key) { return {std::move(key), false}; }

  [[nodiscard]] BroadcastBackend with_response(BroadcastBackendResponse response) && {
    response_ = response;
    return std::move(*this);
  }
  void set_live(bool live) noexcept { live_ = live; }

  [[nodiscard]] const BackendKey& key() const noexcept { return key_; }
  [[nodiscard]] bool is_live() const noexcept { return live_; }
  [[nodiscard]] const BroadcastBackendResponse& response() const noexcept { return response_; }
  // The operations that reached this endpoint, oldest first.
  [[nodiscard]] const std::vector<BroadcastOperation>& received_operations() const noexcept {
    return received_;
  }

  friend bool operator==(const BroadcastBackend&, const BroadcastBackend&) = default;

 private:
  friend class LifecycleBroadcastModel;
  BroadcastBackend(BackendKey key, bool live) : key_(std::move(key)), live_(live) {}

  BackendKey key_;
  bool live_;
  BroadcastBackendResponse response_ = BroadcastBackendResponse::ack();
  std::vector<BroadcastOperation> received_;
};

class LifecycleBroadcastModel {
 public:
  LifecycleBroadcastModel() = default;  // the default policy
  explicit LifecycleBroadcastModel(BroadcastPolicy policy) : policy_(policy) {}

  // Adds an endpoint at the end, or replaces the one of the same key in its place and returns what
  // was there.
  std::optional<BroadcastBackend> register_backend(BroadcastBackend backend);

  // Null when no backend registered the key. The pointer is good until the next register_backend().
  [[nodiscard]] const BroadcastBackend* backend(const BackendKey& key) const noexcept;
  [[nodiscard]] BroadcastBackend* backend(const BackendKey& key) noexcept;
  // In registration order.
  [[nodiscard]] const std::vector<BroadcastBackend>& backends() const noexcept { return backends_; }

  BroadcastResult release_handles_under_path(std::string path_prefix);
  BroadcastResult quiesce(QuiesceReason reason);
  // Gives the operation to every live endpoint.
  BroadcastResult broadcast(const BroadcastOperation& operation);

 private:
  BroadcastPolicy policy_;
  std::vector<BroadcastBackend> backends_;
};

}  // namespace muster
