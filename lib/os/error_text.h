// What an errno means, in words.
#pragma once

#include <string>
#include <system_error>

namespace muster::os {

[[nodiscard]] inline std::string error_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace muster::os
