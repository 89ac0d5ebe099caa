#include "muster/backend_key.h"

#include <algorithm>

#include "muster/text.h"

#include "model/semantic_version.h"

namespace muster {
namespace {

constexpr std::string_view kShared = "shared";
constexpr std::string_view kPrivate = "private:";
constexpr std::string_view kExplicit = "explicit:";

bool is_service_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool is_service_name(std::string_view text) {
  return !text.empty() && text.size() <= BackendKey::kMaxServiceName &&
         std::all_of(text.begin(), text.end(), is_service_char);
}

bool is_free_name(std::string_view text) {
  const auto good = [](char c) {
    return is_service_char(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == ':';
  };
  return text.size() <= BackendKey::kMaxReplica && std::all_of(text.begin(), text.end(), good);
}

}  // namespace

Instance Instance::private_to(std::string service_name) {
  return {Kind::kPrivate, std::move(service_name)};
}

Instance Instance::explicitly(std::string name) { return {Kind::kExplicit, std::move(name)}; }

std::optional<Instance> Instance::parse(std::string_view text) {
  if (text.empty() || text == kShared) return shared();
  if (text.starts_with(kPrivate)) return private_to(std::string(text.substr(kPrivate.size())));
  if (text.starts_with(kExplicit)) return explicitly(std::string(text.substr(kExplicit.size())));
  return std::nullopt;
}

std::string Instance::to_string() const {
  switch (kind_) {
    case Kind::kPrivate:
      return std::string(kPrivate) + name_;
    case Kind::kExplicit:
      return std::string(kExplicit) + name_;
    case Kind::kShared:
      break;
  }
  return std::string(kShared);
}

std::optional<std::string> BackendKey::problem() const {
  if (!is_service_name(service_name)) {
    return "the service name " + quote_start(service_name) +
           " is not 1 to 64 of the characters a-z, 0-9 and -";
  }
  if (service_version.size() > kMaxServiceVersion || !is_semantic_version(service_version)) {
    return "the service version " + quote_start(service_version) +
           " is not a semantic version of at most 64 bytes, like 1.4.2 or 2.0.0-rc.1";
  }
  if (!is_free_name(replica)) {
    return "the replica " + quote_start(replica) +
           " is not at most 64 of the characters A-Z, a-z, 0-9, '.', '_', ':' and '-'";
  }
  if (instance.kind() == Instance::Kind::kPrivate && !is_service_name(instance.name())) {
    return "the instance " + quote_start(instance.to_string()) +
           " does not name a service: private:<service>, 1 to 64 of a-z, 0-9 and -";
  }
  if (instance.kind() == Instance::Kind::kExplicit &&
      (instance.name().empty() || !is_free_name(instance.name()))) {
    return "the instance " + quote_start(instance.to_string()) +
           " has no good name: explicit:<name>, 1 to 64 of A-Z, a-z, 0-9, '.', '_', ':' and '-'";
  }
  return std::nullopt;
}

std::string BackendKey::to_string() const {
  std::string text = service_name + ' ' + service_version;
  if (instance != Instance::shared()) text += " [" + instance.to_string() + ']';
  if (!replica.empty()) text += " #" + replica;
  return text;
}

std::size_t BackendKeyHash::operator()(const BackendKey& key) const noexcept {
  constexpr std::size_t kMix = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio: spreads every bit
  const std::hash<std::string> hash;
  std::size_t seed = hash(key.service_name);
  seed = (seed ^ hash(key.service_version)) * kMix;
  seed = (seed ^ hash(key.replica)) * kMix;
  seed = (seed ^ hash(key.instance.name())) * kMix;
  return seed ^ static_cast<std::size_t>(key.instance.kind());
}

}  // namespace muster
