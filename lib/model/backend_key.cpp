#include "muster/backend_key.h"

#include <algorithm>

#include "muster/text.h"

namespace muster {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_identifier_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

// A number without a leading zero.
bool is_numeric(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  return text.size() == 1 || text.front() != '0';
}

// Takes the text before the next `separator` (or all of it) off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto end = std::min(rest.find(separator), rest.size());
  const auto part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

// Dot-separated identifiers, none empty; in a pre-release numbers have no leading zero.
bool are_identifiers(std::string_view text, bool pre_release) {
  if (text.empty() || text.back() == '.') return false;
  while (!text.empty()) {
    const auto part = take(text, '.');
    if (part.empty() || !std::all_of(part.begin(), part.end(), is_identifier_char)) return false;
    const bool number = std::all_of(part.begin(), part.end(), is_digit);
    if (pre_release && number && !is_numeric(part)) return false;
  }
  return true;
}

}  // namespace

bool is_semantic_version(std::string_view text) {
  if (const auto plus = text.find('+'); plus != std::string_view::npos) {
    if (!are_identifiers(text.substr(plus + 1), false)) return false;
    text = text.substr(0, plus);
  }
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    if (!are_identifiers(text.substr(dash + 1), true)) return false;
    text = text.substr(0, dash);
  }
  if (std::count(text.begin(), text.end(), '.') != 2) return false;
  for (int part = 0; part < 3; ++part) {
    if (!is_numeric(take(text, '.'))) return false;
  }
  return true;
}

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
