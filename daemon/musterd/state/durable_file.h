// Writing so that it survives the host. Blocking; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "os/unique_fd.h"

namespace muster::daemon {

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

}  // namespace muster::daemon
