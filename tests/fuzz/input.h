// Reads decisions off a fuzzer's input. Past its end everything is 0 and empty.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster::fuzz {

class Input {
 public:
  explicit Input(std::string_view bytes) noexcept : rest_(bytes) {}

  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

  std::uint8_t byte() noexcept {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  // 0 to `count` - 1.
  std::size_t choose(std::size_t count) noexcept { return byte() % count; }
  std::uint16_t word() noexcept {
    const auto low = byte();
    return static_cast<std::uint16_t>(low | byte() << 8);
  }
  // At most `count`.
  std::string_view bytes(std::size_t count) noexcept {
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // As many as the next two bytes say.
  std::string_view text() noexcept { return bytes(word()); }
  std::string_view rest() noexcept { return bytes(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace muster::fuzz
