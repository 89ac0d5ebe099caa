#pragma once

#include <cerrno>
#include <system_error>

namespace muster::bench {

[[noreturn]] inline void throw_errno(const char* what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

}  // namespace muster::bench
