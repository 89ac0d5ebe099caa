// Semantic versions (semver.org 2.0.0): only whether a text is one.
#pragma once

#include <string_view>

namespace muster {

[[nodiscard]] bool is_semantic_version(std::string_view text);

}  // namespace muster
