// Calling a handler that only listens.
#pragma once

#include <functional>
#include <utility>

namespace muster {

// What it throws goes no further: there is nobody to answer to, and a daemon must not end because
// of what it wanted to note about its broker.
template <class... Wanted, class... Given>
void notify(const std::function<void(Wanted...)>& handler, Given&&... given) noexcept {
  if (!handler) return;
  try {
    handler(std::forward<Given>(given)...);
  } catch (...) {  // NOLINT(bugprone-empty-catch): documented in backend.h
  }
}

}  // namespace muster
