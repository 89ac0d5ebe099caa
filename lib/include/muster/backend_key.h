// The name of a backend: who it is, independent of any connection or process.
//
// Value types; every function is pure and may be called from any thread.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace muster {

// Whether `text` is a semantic version (semver.org 2.0.0), of any length.
[[nodiscard]] bool is_semantic_version(std::string_view text);

// Which copy of a service a backend belongs to: one shared by the host, one private to another
// service, or one that an administrator named.
class Instance {
 public:
  enum class Kind { kShared, kPrivate, kExplicit };

  Instance() = default;  // shared
  [[nodiscard]] static Instance shared() { return {}; }
  [[nodiscard]] static Instance private_to(std::string service_name);
  [[nodiscard]] static Instance explicitly(std::string name);

  // Reads "shared", "private:<service>" or "explicit:<name>"; an empty text is "shared".
  // Nothing when it is none of these. The name is not checked here: see BackendKey::problem().
  [[nodiscard]] static std::optional<Instance> parse(std::string_view text);

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  // The service of a private instance, the name of an explicit one, empty for the shared one.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // The inverse of parse().
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Instance&, const Instance&) = default;

 private:
  Instance(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}

  Kind kind_ = Kind::kShared;
  std::string name_;
};

struct BackendKey {
  static constexpr std::size_t kMaxServiceName = 64;     // bytes
  static constexpr std::size_t kMaxServiceVersion = 64;  // bytes
  static constexpr std::size_t kMaxReplica = 64;         // bytes

  Instance instance;
  std::string service_name;     // [a-z0-9-]{1,64}
  std::string service_version;  // a semantic version (semver.org 2.0.0), at most 64 bytes
  std::string replica;          // [A-Za-z0-9._:-]{0,64}

  // One sentence that says what is wrong and what would be right; nothing for a good key.
  [[nodiscard]] std::optional<std::string> problem() const;

  // For people: "zccache 1.4.2", with " [private:soldr]" and " #replica" when they are not the
  // default.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const BackendKey&, const BackendKey&) = default;
};

struct BackendKeyHash {
  [[nodiscard]] std::size_t operator()(const BackendKey& key) const noexcept;
};

}  // namespace muster
