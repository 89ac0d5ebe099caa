// Runs what may block for ever in a child process, for a limited time.
//
// Not a thread: one that waits for a dead file system cannot be ended, and would keep the whole
// process from ending.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace muster::ctl {

// What `work` returned in the child; nothing when it was not done within `limit` (the child is
// killed then) or no child could be made. The child has no descriptor of this process, so that
// nobody who waits for the end of one waits for the child.
[[nodiscard]] std::optional<std::string> run_in_child(const std::function<std::string()>& work,
                                                      std::chrono::milliseconds limit);

}  // namespace muster::ctl
