#include "musterd/state/private_directory.h"

#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <system_error>

namespace muster::daemon {

std::string make_private_directory(const std::filesystem::path& directory) {
  if (directory.empty()) {
    return "there is no state directory: neither XDG_STATE_HOME nor HOME is set; name one with "
           "--state-dir";
  }
  std::filesystem::path so_far;
  for (const auto& part : directory) {
    so_far /= part;
    if (::mkdir(so_far.c_str(), 0700) == 0 || errno == EEXIST) continue;
    // A parent that may not be written to may still have what is needed.
    struct stat found {};
    const int error = errno;
    if (::stat(so_far.c_str(), &found) != 0) {
      return "cannot make " + so_far.native() + ": " + std::generic_category().message(error);
    }
  }
  struct stat found {};
  if (::stat(directory.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    return directory.native() + " is not a directory";
  }
  return {};
}

}  // namespace muster::daemon
