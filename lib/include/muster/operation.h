// What a broker can ask of every backend, and what an operator does. Pure values.
//
// A new operation is a type here, an entry of OperationKind, of BroadcastOperation::Content and of
// ControlAction, and rows in lib/model/operation_table.cpp. docs/ARCHITECTURE.md has the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// What an operator does. Each has a row in lib/model/operation_table.cpp.
enum class ControlAction : std::uint8_t {
  kLook,     // backends, status, watch, result, ping, explain-policy
  kRelease,  // of a path
  kQuiesce,
  kCancel,
  kInspect,  // holders, and a release that is verified
  kHold,     // start and end holds
};
[[nodiscard]] std::string_view to_string(ControlAction action) noexcept;

// Which operation it is, in the order of BroadcastOperation::Content.
enum class OperationKind : std::uint8_t { kReleaseHandles, kQuiesce, kUnknown };

// One lifecycle operation.
class BroadcastOperation {
 public:
  // The unknown one is the last.
  using Content = std::variant<ReleaseHandles, Quiesce, UnknownOperation>;
  // How many operations this version knows.
  static constexpr std::size_t kKnown = std::variant_size_v<Content> - 1;

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

  [[nodiscard]] OperationKind kind() const noexcept {
    return static_cast<OperationKind>(content_.index());
  }
  // For std::visit(): a visitor must take every operation.
  [[nodiscard]] const Content& content() const noexcept { return content_; }

  // Null when the operation is another one: which one, that does not say.
  [[nodiscard]] const ReleaseHandles* as_release_handles() const noexcept {
    return std::get_if<ReleaseHandles>(&content_);
  }
  [[nodiscard]] const Quiesce* as_quiesce() const noexcept {
    return std::get_if<Quiesce>(&content_);
  }

  [[nodiscard]] bool is_unknown() const noexcept {
    return std::holds_alternative<UnknownOperation>(content_);
  }

  // For people: "release-handles /var/cache/x", "quiesce (maintenance)". Bytes that are not
  // printable UTF-8 are shown as \xNN.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const BroadcastOperation&, const BroadcastOperation&) = default;

 private:
  explicit BroadcastOperation(Content content) : content_(std::move(content)) {}

  Content content_;
};

[[nodiscard]] std::string_view to_string(QuiesceReason reason) noexcept;

}  // namespace muster
