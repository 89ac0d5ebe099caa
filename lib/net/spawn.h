// Running coroutines.
#pragma once

#include <functional>
#include <string_view>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

namespace muster::net {

// For an operation that a coroutine awaits and whose error is one of its results.
inline constexpr auto kUseTuple = asio::experimental::as_tuple(asio::use_awaitable);

// Starting a coroutine that nobody awaits. asio::detached would swallow what it throws; this says
// so to its caller.

// Called on the task's executor. `name` is the task's, `what` says what it threw.
using TaskFailure = std::function<void(const char* name, std::string_view what)>;

// `name` lives as long as the program. A task that is destroyed unfinished, with its io_context,
// did not fail. May run the beginning of the task before it returns when called on `executor`.
void spawn(const asio::any_io_executor& executor, const char* name, asio::awaitable<void> task,
           TaskFailure on_failure);

}  // namespace muster::net
