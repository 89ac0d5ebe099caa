// What a command takes on its command line. Hides CLI11, which costs four seconds in each file
// that includes it.
#pragma once

#include <charconv>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "muster/broker_view.h"
#include "muster/path.h"
#include "muster/registration.h"

#include "musterctl/waves.h"

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
  // One or more of them.
  void arguments(const std::string& name, const std::string& help, Reader reader);
  // None, one or more.
  void optional_arguments(const std::string& name, const std::string& help, Reader reader);
  // Not both of these.
  void exclude(const std::string& one, const std::string& other);
  // Stands at the end of --help.
  void epilogue(const std::string& text);

 private:
  CLI::App& app_;
};

// How --help looks, of an app and of what is added to it afterwards.
void set_help_style(CLI::App& app);

// --- of broadcasts

// What every command that broadcasts takes.
inline constexpr char kSessionsDir[] = "/run/user";

struct BroadcastOptions {
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<std::chrono::milliseconds> deadline;
  Selection selection;
  std::string key;
  bool detach = false;
  bool dry_run = false;
  bool allow_empty = false;
  bool verbose = false;
  bool quiet = false;
  std::filesystem::path sessions_dir = kSessionsDir;
  bool names_sessions_dir = false;  // by --sessions-dir
  bool no_sessions = false;
  bool verify = false;
  std::optional<std::chrono::milliseconds> wait;  // of --verify
  bool hold = false;                              // --hold or --ttl
  bool ask_first = false;
  std::optional<std::chrono::milliseconds> ttl;
  std::optional<Amount> batch;
  std::optional<Amount> max_failures;
  Selection first;

  [[nodiscard]] bool in_waves() const noexcept { return batch || !first.empty(); }

  void declare(Options& options);
  // --sessions-dir and --no-sessions.
  void declare_sessions(Options& options);
  // --verify and --wait, of a release.
  void declare_verify(Options& options);
  void declare_hold(Options& options);
  // --batch, --max-failures and --first.
  void declare_waves(Options& options);
  // --ask-first.
  void declare_ask_first(Options& options);
  // Throws UsageError where what they say does not go together.
  void check() const;
  // With the trace context of the environment (TRACEPARENT, TRACESTATE), if there is one.
  [[nodiscard]] BroadcastRequest request(BroadcastOperation operation) const;
};

// --select, for commands that take nothing else of it.
void declare_select(Options& options, Selection& selection);
// PATH..: each as it was given; one that cannot be a path is wrong use.
void declare_paths(Options& options, std::vector<std::string>& paths);
// --quiet.
void declare_quiet(Options& options, bool& quiet);

// --- ids

// A broadcast's id as an operator writes it.

// Returns what is wrong with `text`, or nothing.
inline std::string read_broadcast_id(const std::string& text, BroadcastId& into) {
  const char* end = text.data() + text.size();
  const auto [read_to, error] = std::from_chars(text.data(), end, into);
  if (error == std::errc() && read_to == end && into != 0) return {};
  return quote(text) +
         " is no broadcast id: give the number that the broadcast or --detach printed";
}

}  // namespace muster::ctl
