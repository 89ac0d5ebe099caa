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

// Asks whether a backend would carry out an operation. An ack says "I would", a failure says why
// not; nothing is released or quiesced. It is an operation of its own, and no flag of the others:
// a peer that does not know it answers "unsupported", where it would ignore a flag and release.
struct Preflight {
  using About = std::variant<ReleaseHandles, Quiesce>;
  About about;

  friend bool operator==(const Preflight&, const Preflight&) = default;
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
enum class OperationKind : std::uint8_t { kReleaseHandles, kQuiesce, kPreflight, kUnknown };

// One lifecycle operation.
class BroadcastOperation {
 public:
  // The unknown one is the last.
  using Content = std::variant<ReleaseHandles, Quiesce, Preflight, UnknownOperation>;
  // How many operations this version knows.
  static constexpr std::size_t kKnown = std::variant_size_v<Content> - 1;

  [[nodiscard]] static BroadcastOperation release_handles(std::string path_prefix,
                                                          std::string alias = {}) {
    return BroadcastOperation(ReleaseHandles{std::move(path_prefix), std::move(alias)});
  }
  [[nodiscard]] static BroadcastOperation quiesce(QuiesceReason reason) {
    return BroadcastOperation(Quiesce{reason});
  }
  [[nodiscard]] static BroadcastOperation preflight(Preflight::About about) {
    return BroadcastOperation(Preflight{std::move(about)});
  }
  // Of a release or a quiesce. Of anything else there is none: the unknown operation.
  [[nodiscard]] static BroadcastOperation preflight_of(const BroadcastOperation& real) {
    if (const auto* release = real.as_release_handles()) return preflight(*release);
    if (const auto* quiesce = real.as_quiesce()) return preflight(*quiesce);
    return unknown();
  }
  [[nodiscard]] static BroadcastOperation unknown() {
    return BroadcastOperation(UnknownOperation{});
  }

  [[nodiscard]] OperationKind kind() const noexcept {
    return static_cast<OperationKind>(content_.index());
  }
  // For std::visit(): a visitor must take every operation.
  [[nodiscard]] const Content& content() const noexcept { return content_; }

  // Null for any other operation. A preflight is neither a release nor a quiesce.
  [[nodiscard]] const ReleaseHandles* as_release_handles() const noexcept {
    return std::get_if<ReleaseHandles>(&content_);
  }
  [[nodiscard]] const Quiesce* as_quiesce() const noexcept {
    return std::get_if<Quiesce>(&content_);
  }
  [[nodiscard]] const Preflight* as_preflight() const noexcept {
    return std::get_if<Preflight>(&content_);
  }
  // What it is about: the operation itself, or what a preflight asks about. Null when that is
  // another one. Not for deciding what an ack means: an ack of a preflight releases nothing.
  [[nodiscard]] const ReleaseHandles* about_release() const noexcept {
    const Preflight* preflight = as_preflight();
    return preflight != nullptr ? std::get_if<ReleaseHandles>(&preflight->about)
                                : as_release_handles();
  }
  [[nodiscard]] const Quiesce* about_quiesce() const noexcept {
    const Preflight* preflight = as_preflight();
    return preflight != nullptr ? std::get_if<Quiesce>(&preflight->about) : as_quiesce();
  }
  // The operation that a preflight asks about; of any other one, itself.
  [[nodiscard]] BroadcastOperation real() const {
    if (!is_preflight()) return *this;
    if (const ReleaseHandles* release = about_release()) return BroadcastOperation(*release);
    return BroadcastOperation(*about_quiesce());
  }
  [[nodiscard]] OperationKind real_kind() const noexcept {
    if (about_release() != nullptr) return OperationKind::kReleaseHandles;
    return about_quiesce() != nullptr ? OperationKind::kQuiesce : kind();
  }

  // Its ack releases nothing and promises nothing.
  [[nodiscard]] bool is_preflight() const noexcept { return as_preflight() != nullptr; }

  [[nodiscard]] bool is_unknown() const noexcept {
    return std::holds_alternative<UnknownOperation>(content_);
  }

  // For people: "release-handles /var/cache/x", "quiesce (maintenance)", "preflight of quiesce
  // (maintenance)". Bytes that are not printable UTF-8 are shown as \xNN.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const BroadcastOperation&, const BroadcastOperation&) = default;

 private:
  explicit BroadcastOperation(Content content) : content_(std::move(content)) {}

  Content content_;
};

[[nodiscard]] std::string_view to_string(QuiesceReason reason) noexcept;

}  // namespace muster
