// What a command takes on its command line. Hides CLI11, which costs four seconds in each file
// that includes it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace muster::ctl {

// Bad use of the command line. what() is one sentence.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Options {
 public:
  // Takes a value; returns what is wrong with it, as a sentence, or nothing.
  using Reader = std::function<std::string(const std::string&)>;

  explicit Options(CLI::App& app) : app_(app) {}

  // `names`: "--json" or "-q,--quiet". Each may be given once, unless `repeatable`.
  void flag(const std::string& names, const std::string& help, bool& into);
  void value(const std::string& names, const std::string& meta, const std::string& help,
             Reader reader, bool repeatable = false);
  void duration(const std::string& names, const std::string& help,
                std::optional<std::chrono::milliseconds>& into);
  void argument(const std::string& name, const std::string& help, bool required, Reader reader);
  // Not both of these.
  void exclude(const std::string& one, const std::string& other);
  // Stands at the end of --help.
  void epilogue(const std::string& text);

 private:
  CLI::App& app_;
};

// How --help looks, of an app and of what is added to it afterwards.
void set_help_style(CLI::App& app);

}  // namespace muster::ctl
