// Numbers and texts of a journal's records: little-endian, a text behind its length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::daemon {

inline void put_number(std::string& out, std::uint64_t value) {
  for (unsigned shift = 0; shift < 64; shift += 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xFFU));
  }
}
inline void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

// Takes what was put off the front. Once something is missing all is zero and empty, and good() is
// false.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] std::uint64_t number() {
    const std::string_view bytes = take(8);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    return value;
  }
  [[nodiscard]] std::string_view text() { return take(number()); }
  [[nodiscard]] bool good() const noexcept { return good_; }
  // All was taken, and nothing was missing.
  [[nodiscard]] bool at_end() const noexcept { return good_ && rest_.empty(); }

 private:
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace muster::daemon
