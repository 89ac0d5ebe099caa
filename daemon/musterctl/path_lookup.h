// What the file system says of a path: follows its symbolic links, also where parts of it are
// missing. Every call here may block for as long as a file system does not answer.
#pragma once

#include <string>

namespace muster::ctl {

struct PathLookup {
  std::string path;  // without symbolic links, as far as they could be followed
  // Where looking ended: ENOENT when something is missing, EACCES, ELOOP, ...; 0: all exists.
  int error = 0;
  std::string stopped_at;  // what the error is about
  // A link's text leads elsewhere than the link (as in /proc): `path` is the spelling.
  bool opaque_link = false;
};

// `spelling` is absolute and may have "." and "..": those are the kernel's, so the parent of what a
// link leads to.
[[nodiscard]] PathLookup look_up_path(const std::string& spelling);

// True where `directory`, an absolute path, is the working directory.
[[nodiscard]] bool is_working_directory(const std::string& directory);

}  // namespace muster::ctl
