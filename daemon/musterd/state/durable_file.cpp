#include "musterd/state/durable_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "os/error_text.h"

namespace muster::daemon {

std::string failed_to(std::string_view what, int error) {
  return std::string(what) + ": " + os::error_text(error);
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

Replaced replace_durably(const std::filesystem::path& directory, const std::string& name,
                         std::string_view bytes) {
  constexpr const char* kCannot = "cannot be written";
  const auto path = directory / name;
  auto fresh = path;
  fresh += ".new";
  os::UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return {{}, failed_to(kCannot, errno)};
  if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(fresh.c_str());
    return {{}, failed_to(kCannot, error)};
  }
  // The name, too: without it the old file may be there again after the host went down. A file
  // system that cannot do that for a directory says EINVAL; nothing more can be done there.
  const os::UniqueFd names(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!names || (::fsync(names.get()) != 0 && errno != EINVAL)) {
    return {{}, failed_to(kCannot, errno)};
  }
  return {std::move(file), {}};
}

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
      return "cannot make " + so_far.native() + ": " + os::error_text(error);
    }
  }
  struct stat found {};
  if (::stat(directory.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    return directory.native() + " is not a directory";
  }
  return {};
}

}  // namespace muster::daemon
