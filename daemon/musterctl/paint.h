// Colour, where there is any. What a backend sent went through escape_bytes() before, so that it
// cannot end the colour or begin one.
#pragma once

#include <string>
#include <string_view>

namespace muster::ctl {

class Paint {
 public:
  explicit Paint(bool on = false) : on_(on) {}

  [[nodiscard]] std::string good(std::string_view text) const { return wrapped("\x1b[32m", text); }
  [[nodiscard]] std::string error(std::string_view text) const { return wrapped("\x1b[31m", text); }
  [[nodiscard]] std::string warning(std::string_view text) const {
    return wrapped("\x1b[33m", text);
  }
  [[nodiscard]] std::string dim(std::string_view text) const { return wrapped("\x1b[2m", text); }
  [[nodiscard]] std::string bold(std::string_view text) const { return wrapped("\x1b[1m", text); }

 private:
  [[nodiscard]] std::string wrapped(std::string_view begin, std::string_view text) const {
    if (!on_) return std::string(text);
    return std::string(begin).append(text).append("\x1b[0m");
  }

  bool on_;
};

}  // namespace muster::ctl
