// Runs the loop, whatever its handlers throw.
#pragma once

#include <functional>

#include <asio/io_context.hpp>

#include "musterd/log/log.h"

namespace muster::daemon {

// So many handlers that throw within a second do not end by themselves.
inline constexpr int kMostFailuresASecond = 100;

// Returns true when the loop has nothing left to do. An exception of a handler ends that handler
// alone: it is logged, `failed` is called, and the loop goes on. False: the exceptions do not end;
// it was logged, and the process should exit, so that a new one starts.
[[nodiscard]] bool run_loop(asio::io_context& loop, Log& log,
                            const std::function<void()>& failed) noexcept;

}  // namespace muster::daemon
