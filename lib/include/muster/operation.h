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
  std::string alias;        // the spelling that was asked for, where it differs; else empty

  friend bool operator==(const ReleaseHandles&, const ReleaseHandles&) = default;
};

// Stop accepting new work and drain.
struct Quiesce {
  QuiesceReason reason = QuiesceReason::kMaintenance;

  friend bool operator==(const Quiesce&, const Quiesce&) = default;
};

// What a newer broker asks and this version does not know: answered UnsupportedOperation.
struct UnknownOperation {
  friend bool operator==(const UnknownOperation&, const UnknownOperation&) = default;
};

// One lifecycle operation.
class BroadcastOperation {
 public:
  [[nodiscard]] static BroadcastOperation release_handles(std::string path_prefix,
                                                          std::string alias = {}) {
    return BroadcastOperation(ReleaseHandles{std::move(path_prefix), std::move(alias)});
  }
  [[nodiscard]] static BroadcastOperation quiesce(QuiesceReason reason) {
    return BroadcastOperation(Quiesce{reason});
  }

  [[nodiscard]] static BroadcastOperation unknown() {
    return BroadcastOperation(UnknownOperation{});
  }

  // Null when the operation is another one.
  [[nodiscard]] const ReleaseHandles* as_release_handles() const noexcept {
    return std::get_if<ReleaseHandles>(&value_);
  }
  [[nodiscard]] const Quiesce* as_quiesce() const noexcept { return std::get_if<Quiesce>(&value_); }

  [[nodiscard]] bool is_unknown() const noexcept {
    return std::holds_alternative<UnknownOperation>(value_);
  }

  // For people: "release-handles /var/cache/x", "quiesce (maintenance)". Bytes that are not
  // printable UTF-8 are shown as \xNN.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const BroadcastOperation&, const BroadcastOperation&) = default;

 private:
  explicit BroadcastOperation(std::variant<ReleaseHandles, Quiesce, UnknownOperation> value)
      : value_(std::move(value)) {}

  std::variant<ReleaseHandles, Quiesce, UnknownOperation> value_;
};

[[nodiscard]] std::string_view to_string(QuiesceReason reason) noexcept;

}  // namespace muster
