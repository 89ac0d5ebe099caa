// musterctl, but for main(): reads the command line, runs one command, says what went wrong.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "musterctl/console.h"

namespace muster::ctl {

// `arguments` without the program's name. `interrupted`: the signal that asked to end, else 0;
// asked again and again while a command waits. Returns the exit status; throws nothing.
[[nodiscard]] int run(const std::vector<std::string>& arguments, Console& console,
                      const std::function<int()>& interrupted);

}  // namespace muster::ctl
