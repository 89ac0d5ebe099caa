// Files that a fake backend has open, as a daemon does that opens them whenever it needs them:
// closed by a release that covers them, and opened again as soon as no hold does.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/registration.h"

#include "os/unique_fd.h"

namespace muster::fake {

class KeptFiles {
 public:
  // `say`: "opened FILE", "closed FILE", "cannot-open FILE: REASON".
  KeptFiles(const std::vector<std::string>& paths, std::function<void(const std::string&)> say);

  // Closes those at or below either. False when none was open.
  bool close_below(const ReleaseHandles& release);
  // Opens those that are closed and that no hold covers.
  void open_unheld(const std::vector<ActiveHold>& holds);
  void open_all() { open_unheld({}); }

 private:
  struct File {
    std::string path;
    os::UniqueFd open;
  };
  std::vector<File> files_;
  std::function<void(const std::string&)> say_;
};

}  // namespace muster::fake
