// Path prefixes: how the broker makes them normal, and how a backend matches its files to one.
//
// Purely lexical: nothing here looks at the file system or follows a link. Paths are bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "muster/text.h"  // escape_bytes: IWYU pragma: export

namespace muster {

inline constexpr std::size_t kMaxPathBytes = 4096;  // PATH_MAX of Linux

struct NormalizedPath {
  std::string path;     // valid when problem is empty
  std::string problem;  // one sentence: what is wrong, what would be right
};

// Makes an absolute path lexically normal: no empty, "." or ".." component, no slash at the end
// (but "/" itself). Refuses an empty or relative path, one with a NUL, and one longer than
// kMaxPathBytes.
[[nodiscard]] NormalizedPath normalize_path_prefix(std::string_view path);

// True when `path` is `prefix` itself or below it, by whole components: "/mnt/a" covers "/mnt/a"
// and "/mnt/a/x", never "/mnt/ab". Both are taken as normalize_path_prefix() would leave them;
// false when either is not absolute.
[[nodiscard]] bool path_is_under(std::string_view prefix, std::string_view path);

}  // namespace muster
