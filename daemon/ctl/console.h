// Where musterctl writes. An interface, so that tests run whole commands and read what they said.
#pragma once

#include <cstddef>
#include <string_view>

namespace muster::ctl {

class Console {
 public:
  virtual ~Console() = default;

  // Results go to out, everything about the way there (progress, errors) to err.
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  // True when something written to out was lost: nobody reads it, or the disk is full.
  [[nodiscard]] virtual bool out_failed() const = 0;

  // A line on err can be drawn again and again.
  [[nodiscard]] virtual bool err_is_live() const = 0;
  // Of the terminal behind err, now: a window may change its size.
  [[nodiscard]] virtual std::size_t err_columns() const = 0;
  [[nodiscard]] virtual bool out_has_colour() const = 0;
};

// The process's standard output and error.
class StandardConsole : public Console {
 public:
  StandardConsole();

  void out(std::string_view text) override;
  void err(std::string_view text) override;
  [[nodiscard]] bool out_failed() const override { return out_failed_; }
  [[nodiscard]] bool err_is_live() const override { return err_is_live_; }
  [[nodiscard]] std::size_t err_columns() const override;
  [[nodiscard]] bool out_has_colour() const override { return out_has_colour_; }

 private:
  bool err_is_live_ = false;
  bool out_has_colour_ = false;
  bool out_failed_ = false;
};

}  // namespace muster::ctl
