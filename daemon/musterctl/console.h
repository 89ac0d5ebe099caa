// The process around a command: where it writes, how it reports that something failed, and the
// signals that end it. Console is an interface, so that tests run whole commands and read the
// output.
#pragma once

#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>

#include "muster/control.h"

namespace muster::ctl {

// --- console

// Where musterctl writes. An interface, so that tests run whole commands and read what they said.
class Console {
 public:
  virtual ~Console() = default;

  // Results go to out, warnings and errors to err, how far it is to progress: on err, too, but
  // nothing is missing where err was closed.
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  virtual void progress(std::string_view text) { err(text); }

  // True when something written to out was lost: it is closed, nobody reads it, the disk is full.
  [[nodiscard]] virtual bool out_failed() const = 0;
  // The same of err; progress counts where err was open.
  [[nodiscard]] virtual bool err_failed() const = 0;
  // It was closed when musterctl began: what is written there is lost.
  [[nodiscard]] virtual bool out_is_closed() const = 0;
  // Nobody has the other end of out any more. Never true of a file.
  [[nodiscard]] virtual bool out_reader_gone() const = 0;

  // A line on err can be drawn again and again.
  [[nodiscard]] virtual bool err_is_live() const = 0;
  // Of the terminal behind err, now: a window may change its size.
  [[nodiscard]] virtual std::size_t err_columns() const = 0;
  [[nodiscard]] virtual bool out_has_colour() const = 0;
};

// Stands in front of another one; all that is not overridden goes there.
class ConsoleInFront : public Console {
 public:
  explicit ConsoleInFront(Console& console) : console_(console) {}

  void out(std::string_view text) override { console_.out(text); }
  void err(std::string_view text) override { console_.err(text); }
  void progress(std::string_view text) override { console_.progress(text); }
  [[nodiscard]] bool out_failed() const override { return console_.out_failed(); }
  [[nodiscard]] bool err_failed() const override { return console_.err_failed(); }
  [[nodiscard]] bool out_is_closed() const override { return console_.out_is_closed(); }
  [[nodiscard]] bool out_reader_gone() const override { return console_.out_reader_gone(); }
  [[nodiscard]] bool err_is_live() const override { return console_.err_is_live(); }
  [[nodiscard]] std::size_t err_columns() const override { return console_.err_columns(); }
  [[nodiscard]] bool out_has_colour() const override { return console_.out_has_colour(); }

 protected:
  Console& console_;
};

// Which of the standard streams were open when the process began.
struct StandardStreams {
  bool out_was_open = true;
  bool err_was_open = true;
};

// Takes the numbers of closed standard streams, so that no socket or file gets one of them and then
// what was meant for the operator. Call it before anything else opens a descriptor.
[[nodiscard]] StandardStreams reserve_standard_streams();

// The process's standard output and error. Waits for one that is non-blocking and full.
// REQUIRES: SIGPIPE is ignored.
class StandardConsole : public Console {
 public:
  explicit StandardConsole(StandardStreams streams);

  void out(std::string_view text) override;
  void err(std::string_view text) override;
  void progress(std::string_view text) override;
  [[nodiscard]] bool out_failed() const override { return out_failed_; }
  [[nodiscard]] bool err_failed() const override { return err_failed_; }
  [[nodiscard]] bool out_is_closed() const override { return !streams_.out_was_open; }
  [[nodiscard]] bool out_reader_gone() const override;
  [[nodiscard]] bool err_is_live() const override { return err_is_live_; }
  [[nodiscard]] std::size_t err_columns() const override;
  [[nodiscard]] bool out_has_colour() const override { return out_has_colour_; }

 private:
  StandardStreams streams_;
  bool err_is_live_ = false;
  bool out_has_colour_ = false;
  bool out_failed_ = false;
  bool err_failed_ = false;
};

// --- errors

// The one place where musterctl says that something did not work.

// A sentence on err; with `json` instead {"error":{"code":...,"message":...}} on out, where a
// script looks for its answer. Codes are ControlError's (proto/muster/v1/control.proto) and
// musterctl's own: UNREACHABLE, USAGE, SIGNAL, INTERNAL.
void report_error(Console& console, bool json, std::string_view code, const std::string& message);
// Returns the exit status.
int report_failure(Console& console, bool json, const ControlFailure& failure);

// --- signals

// Signals that ask musterctl to end while it waits.

// The signal that came (SIGINT, SIGTERM or SIGHUP) or 0. From the first call on these no longer end
// the process, once: a second one does. One that was ignored at the start stays ignored.
[[nodiscard]] int interrupted_by();

// Writing where nobody reads any more, or where a file may not grow, fails from now on and ends
// nothing. Call it once.
void ignore_lost_readers();
// Those that did end a program before that: a command that musterctl starts has them so.
[[nodiscard]] sigset_t signals_that_were_default();

}  // namespace muster::ctl
