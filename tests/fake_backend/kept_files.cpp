#include "fake_backend/kept_files.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <utility>

#include "muster/path.h"

namespace muster::fake {
namespace {

bool is_at_or_below_either(const std::string& path, const std::string& prefix,
                           const std::string& alias) {
  return (!prefix.empty() && path_is_under(prefix, path)) ||
         (!alias.empty() && path_is_under(alias, path));
}

// A directory, too; a file that is not there is made.
os::UniqueFd open_or_make(const std::string& path) {
  os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file || errno != ENOENT) return file;
  constexpr mode_t kMode = 0644;
  return os::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode));
}

}  // namespace

KeptFiles::KeptFiles(const std::vector<std::string>& paths,
                     std::function<void(const std::string&)> say)
    : say_(std::move(say)) {
  for (const std::string& path : paths) files_.push_back({path, {}});
}

bool KeptFiles::close_below(const ReleaseHandles& release) {
  bool any = false;
  for (File& file : files_) {
    if (!file.open || !is_at_or_below_either(file.path, release.path_prefix, release.alias)) {
      continue;
    }
    file.open.reset();
    say_("closed " + escape_bytes(file.path));
    any = true;
  }
  return any;
}

void KeptFiles::open_unheld(const std::vector<ActiveHold>& holds) {
  for (File& file : files_) {
    const bool is_held = std::any_of(holds.begin(), holds.end(), [&](const ActiveHold& hold) {
      return is_at_or_below_either(file.path, hold.path_prefix, hold.alias);
    });
    if (file.open || is_held) continue;
    file.open = open_or_make(file.path);
    const std::string name = escape_bytes(file.path);
    say_(file.open ? "opened " + name
                   : "cannot-open " + name + ": " + std::generic_category().message(errno));
  }
}

}  // namespace muster::fake
