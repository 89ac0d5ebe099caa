// What a broker can ask of every backend. Pure values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace muster {

// Why a backend is being asked to drain.
enum class QuiesceReason {
  kIdleTimeout,     // the backend passed the idle time that it declared
  kBrokerShutdown,  // the broker goes down
  kMaintenance,     // an operator asked
};

// Let go of every file below a path.
struct ReleaseHandles {
  std::string path_prefix;  // bytes; absolute and lexically normal once the broker accepted it

  friend bool operator==(const ReleaseHandles&, const ReleaseHandles&) = default;
};

// Stop accepting new work and drain.
struct Quiesce {
  QuiesceReason reason = QuiesceReason::kMaintenance;

  friend bool operator==(const Quiesce&, const Quiesce&) = default;
};

// One lifecycle operation.
class BroadcastOperation {
 public:
  [[nodiscard]] static BroadcastOperation release_handles(std::string path_prefix) {
    return BroadcastOperation(ReleaseHandles{std::move(path_prefix)});
  }
  [[nodiscard]] static BroadcastOperation quiesce(QuiesceReason reason) {
    return BroadcastOperation(Quiesce{reason});
  }

  // Null when the operation is the other one.
  [[nodiscard]] const ReleaseHandles* as_release_handles() const noexcept {
    return std::get_if<ReleaseHandles>(&value_);
  }
  [[nodiscard]] const Quiesce* as_quiesce() const noexcept { return std::get_if<Quiesce>(&value_); }

  // For people: "release-handles /var/cache/x", "quiesce (maintenance)". Bytes that are not
  // printable UTF-8 are shown as \xNN.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const BroadcastOperation&, const BroadcastOperation&) = default;

 private:
  explicit BroadcastOperation(std::variant<ReleaseHandles, Quiesce> value)
      : value_(std::move(value)) {}

  std::variant<ReleaseHandles, Quiesce> value_;
};

[[nodiscard]] std::string_view to_string(QuiesceReason reason) noexcept;

}  // namespace muster
