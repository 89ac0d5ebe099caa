// Files and directories of this process's own that outlive a crash.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "os/unique_fd.h"

namespace muster::daemon {

// Writing so that it survives the host. Blocking; any thread.

// False with errno set.
[[nodiscard]] bool write_all(int fd, std::string_view bytes);

struct Replaced {
  os::UniqueFd file;    // the new one, open for writing at its end
  std::string problem;  // a sentence's end; the old file is then still there
};
// Puts `bytes` at directory/name, mode 0600: a new file, fsync, rename, fsync of the directory.
[[nodiscard]] Replaced replace_durably(const std::filesystem::path& directory,
                                       const std::string& name, std::string_view bytes);

// "cannot be written: No space left on device"
[[nodiscard]] std::string failed_to(std::string_view what, int error);

// A directory that is this process's own.

// Makes `directory`, and what is missing above it, with mode 0700. Empty when it is there (now),
// else why not; a sentence's end.
[[nodiscard]] std::string make_private_directory(const std::filesystem::path& directory);

}  // namespace muster::daemon
