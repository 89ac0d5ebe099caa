// A path as an operator writes it, made the one that backends know.
#pragma once

#include <string>

namespace muster::ctl {

// Backends know paths by their beginning at "/", not by where an operator happens to stand: a
// relative one is taken from the working directory. Empty when `problem` says what is wrong.
[[nodiscard]] std::string make_absolute(const std::string& path, std::string& problem);

}  // namespace muster::ctl
