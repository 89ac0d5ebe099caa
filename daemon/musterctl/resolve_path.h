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

struct ResolvedPath {
  std::string path;   // canonical: absolute, and no component that exists is a symbolic link
  std::string alias;  // absolute and lexically normal, as it was written; empty if that is `path`
  std::vector<std::string> warnings;  // a sentence each
};

// Relative paths are taken from the working directory, as $PWD spells it. Empty, with a sentence in
// `problem`, where `text` is no path that a broker takes. Looks at nothing but the working
// directory's name.
[[nodiscard]] std::string absolute_path(const std::string& text, std::string& problem);

// REQUIRES: absolute_path(text) has no problem. What cannot be looked at, or not within `limit`, is
// taken as it is written, with a warning; so is what does not exist.
[[nodiscard]] ResolvedPath resolve_path(const std::string& text,
                                        std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace muster::ctl
