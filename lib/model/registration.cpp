#include "muster/registration.h"

#include <algorithm>

#include "muster/text.h"

#include "model/characters.h"

namespace muster {
namespace {

bool is_label_name(std::string_view text) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  };
  return !text.empty() && text.size() <= kMaxLabelBytes &&
         std::all_of(text.begin(), text.end(), good);
}

}  // namespace

std::optional<std::string> Registration::problem() const {
  if (min_protocol == 0 || max_protocol < min_protocol) {
    return "min_protocol " + std::to_string(min_protocol) + " and max_protocol " +
           std::to_string(max_protocol) + " are not a range; give 1 and 1";
  }
  if (min_protocol > kProtocolVersion || max_protocol < kProtocolVersion) {
    return "this broker speaks protocol " + std::to_string(kProtocolVersion) +
           ", the backend speaks " + std::to_string(min_protocol) + " to " +
           std::to_string(max_protocol);
  }
  if (auto wrong = key.problem()) return wrong;
  if (labels.size() > kMaxLabels) {
    return "there are " + std::to_string(labels.size()) + " labels; the most is " +
           std::to_string(kMaxLabels);
  }
  for (const auto& [name, value] : labels) {
    if (!is_label_name(name)) {
      return "the label name " + quote_start(name, kMaxLabelBytes) +
             " is not 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_', '-' and '/'";
    }
    if (value.size() > kMaxLabelBytes || !utf8::is_valid(value)) {
      return "the value of the label " + quote(name) + " is not UTF-8 of at most 64 bytes";
    }
  }
  if (sdk_name.size() > kMaxSdkNameBytes || sdk_version.size() > kMaxSdkNameBytes) {
    return "sdk_name and sdk_version may have at most 64 bytes each";
  }
  if (idle_timeout && idle_timeout->count() <= 0) {
    return "an idle timeout of 0 would always have passed; leave it out for none";
  }
  return std::nullopt;
}

}  // namespace muster
