// A directory that is this process's own.
#pragma once

#include <filesystem>
#include <string>

namespace muster::daemon {

// Makes `directory`, and what is missing above it, with mode 0700. Empty when it is there (now),
// else why not; a sentence's end.
[[nodiscard]] std::string make_private_directory(const std::filesystem::path& directory);

}  // namespace muster::daemon
