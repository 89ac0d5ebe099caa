// A console that keeps what was written to it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "musterctl/console.h"

namespace muster::test {

class CapturedConsole : public ctl::Console {
 public:
  void out(std::string_view text) override { written_out += text; }
  void err(std::string_view text) override { written_err += text; }
  [[nodiscard]] bool out_failed() const override { return out_is_lost; }
  [[nodiscard]] bool err_failed() const override { return err_is_lost; }
  [[nodiscard]] bool out_is_closed() const override { return false; }
  [[nodiscard]] bool out_reader_gone() const override { return reader_is_gone; }
  [[nodiscard]] bool err_is_live() const override { return terminal; }
  [[nodiscard]] std::size_t err_columns() const override { return columns; }
  [[nodiscard]] bool out_has_colour() const override { return false; }

  std::string written_out;
  std::string written_err;
  bool terminal = false;
  bool out_is_lost = false;
  bool err_is_lost = false;
  bool reader_is_gone = false;
  std::size_t columns = 80;
};

}  // namespace muster::test
