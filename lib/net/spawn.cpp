#include "net/spawn.h"

#include <exception>
#include <utility>

#include <asio/co_spawn.hpp>

namespace muster::net {

void spawn(const asio::any_io_executor& executor, const char* name, asio::awaitable<void> task,
           TaskFailure on_failure) {
  asio::co_spawn(executor, std::move(task),
                 [name, on_failure = std::move(on_failure)](const std::exception_ptr& failure) {
                   if (!failure) return;
                   try {
                     std::rethrow_exception(failure);
                   } catch (const std::exception& e) {
                     on_failure(name, e.what());
                   } catch (...) {
                     on_failure(name, "unknown exception");
                   }
                 });
}

}  // namespace muster::net
