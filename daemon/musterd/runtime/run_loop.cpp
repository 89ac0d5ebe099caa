#include "musterd/runtime/run_loop.h"

#include <chrono>
#include <exception>
#include <string_view>

namespace muster::daemon {
namespace {

// What one call of run() threw; true: nothing.
bool run_once(asio::io_context& loop, Log& log) noexcept {
  try {
    loop.run();
    return true;
  } catch (const std::exception& error) {
    log.error("internal error, continuing", {{"what", std::string_view(error.what())}});
  } catch (...) {
    log.error("internal error, continuing", {{"what", std::string_view("an unknown exception")}});
  }
  return false;
}

}  // namespace

bool run_loop(asio::io_context& loop, Log& log, const std::function<void()>& failed) noexcept {
  auto second_began = std::chrono::steady_clock::now();
  int failures = 0;
  while (!run_once(loop, log)) {
    failed();
    const auto now = std::chrono::steady_clock::now();
    if (now - second_began >= std::chrono::seconds(1)) {
      second_began = now;
      failures = 0;
    }
    if (++failures < kMostFailuresASecond) continue;
    log.error("too many internal errors in a second, exiting",
              {{"in_a_second", static_cast<std::int64_t>(failures)}});
    return false;
  }
  return true;
}

}  // namespace muster::daemon
