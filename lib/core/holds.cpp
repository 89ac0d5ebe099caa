#include "core/holds.h"

#include "model/operation_table.h"

namespace muster::core {

std::size_t Hold::text_bytes() const noexcept {
  constexpr std::size_t kBeside = 48;  // its numbers, and what a message has around its fields
  std::size_t bytes = kBeside;
  for (const std::string_view text : texts_of(operation)) bytes += text.size();
  return bytes;
}

}  // namespace muster::core
