// A path as an operator writes it, made the one that the kernel means by it.
//
// Backends have files open by a name of their own; what an operator writes may lead there through
// symbolic links. So the broker is asked for the path without links (canonical), and for the
// spelling beside it where that differs. Looking may block for ever (the server of a mount is
// dead): a child process looks, for a limited time.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace muster::ctl {

// --- looking

// What the file system says of a path: follows its symbolic links, also where parts of it are
// missing. Every call here may block for as long as a file system does not answer.
struct PathLookup {
  std::string path;  // without symbolic links, as far as they could be followed
  // Where looking ended: ENOENT when something is missing, EACCES, ELOOP, ...; 0: all exists.
  int error = 0;
  std::string stopped_at;  // what the error is about
  // A link's text leads elsewhere than the link (as in /proc): `path` is the spelling.
  bool opaque_link = false;
  // Leads through /proc/self (as /dev/fd/3 does), which is a different directory for each process.
  // `stopped_at` is that link, and `path` is not to be used.
  bool process_link = false;
};

// `spelling` is absolute and may have "." and "..": those are the kernel's, so the parent of what a
// link leads to.
[[nodiscard]] PathLookup look_up_path(const std::string& spelling);

// True where `directory`, an absolute path, is the working directory.
[[nodiscard]] bool is_working_directory(const std::string& directory);

struct ResolvedPath {
  std::string path;   // canonical: absolute, and no component that exists is a symbolic link
  std::string alias;  // absolute and lexically normal, as it was written; empty if that is `path`
  std::vector<std::string> warnings;  // a sentence each
  // Not empty: it is not known which path is meant, so it must not be asked for. A sentence that
  // says what to do.
  std::string problem;
};

// Relative paths are taken from the working directory, as $PWD spells it. Empty, with a sentence in
// `problem`, where `text` is no path that a broker takes. Looks at nothing but the working
// directory's name.
[[nodiscard]] std::string absolute_path(const std::string& text, std::string& problem);

// Without a look at any file system but for the working directory's name.
[[nodiscard]] ResolvedPath path_as_written(const std::string& text);

// REQUIRES: absolute_path(text) has no problem. What does not exist is taken as it is written, with
// a warning. What cannot be looked at for another reason, or not within `limit`, is a problem.
[[nodiscard]] ResolvedPath resolve_path(const std::string& text,
                                        std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace muster::ctl
