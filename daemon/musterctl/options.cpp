#include "musterctl/options.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "model/time_text.h"
#include "musterctl/resolve_path.h"
#include "os/holders/scan.h"

namespace muster::ctl {
namespace {

CLI::callback_t calling(const std::string& name, Options::Reader reader) {
  return [name, read = std::move(reader)](const CLI::results_t& values) {
    for (const std::string& value : values) {
      const std::string problem = read(value);
      if (!problem.empty()) throw CLI::ValidationError(name, problem);
    }
    return true;
  };
}

// "--quiet" of "-q,--quiet".
std::string long_name(const std::string& names) { return names.substr(names.find("--")); }

constexpr std::size_t kOptionColumns = 24;
constexpr std::size_t kTextColumns = 72;

// The wire has 32 bits of milliseconds, which end in the 50th day.
constexpr std::chrono::milliseconds kShortest{1};
constexpr std::chrono::milliseconds kLongest = std::chrono::hours(49 * 24);

// Breaks lines between words.
std::string wrapped(const std::string& text) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::size_t size = end - at;
    if (column > 0 && column + 1 + size > kTextColumns) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out.append(text, at, size);
    column += size;
    at = end + 1;
  }
  return out;
}

// As in a manual page: a name, what it takes, wrapped text. What excludes what is said when it
// matters, by the error.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(kOptionColumns);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : ' ' + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(option->get_description());
  }
};

}  // namespace

void Options::flag(const std::string& names, const std::string& help, bool& into) {
  app_.add_flag(names, into, help);
}

void Options::value(const std::string& names, const std::string& meta, const std::string& help,
                    Reader reader, bool repeatable) {
  CLI::Option* option = app_.add_option(names, calling(long_name(names), std::move(reader)), help);
  option->type_name(meta)->type_size(1);
  if (repeatable) {
    option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args(false);
  } else {
    option->expected(1);
  }
}

void Options::duration(const std::string& names, const std::string& help,
                       std::optional<std::chrono::milliseconds>& into) {
  value(names, "DURATION", help, [&into](const std::string& text) {
    ParsedDuration parsed = parse_duration(text, kShortest, kLongest);
    into = parsed.value;
    return std::move(parsed.problem);
  });
}

void Options::argument(const std::string& name, const std::string& help, bool required,
                       Reader reader) {
  app_.add_option(name, calling(name, std::move(reader)), help)
      ->type_name("")
      ->type_size(1)
      ->expected(1)
      ->required(required);
}

void Options::arguments(const std::string& name, const std::string& help, Reader reader) {
  app_.add_option(name, calling(name, std::move(reader)), help)
      ->type_name("")
      ->type_size(1)
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args()
      ->required();
}

void Options::optional_arguments(const std::string& name, const std::string& help, Reader reader) {
  app_.add_option(name, calling(name, std::move(reader)), help)
      ->type_name("")
      ->type_size(1)
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
}

void Options::exclude(const std::string& one, const std::string& other) {
  app_.get_option(one)->excludes(app_.get_option(other));
}

void set_help_style(CLI::App& app) { app.formatter(std::make_shared<HelpFormatter>()); }

void Options::epilogue(const std::string& text) { app_.footer(text); }

// --- of broadcasts

namespace {

std::string trace_context(const char* variable) {
  const char* value = ::secure_getenv(variable);
  // One that is too long is somebody else's mistake and no reason not to broadcast.
  if (value == nullptr || std::string_view(value).size() > kMaxTraceBytes) return {};
  return value;
}

std::string read_key(const std::string& text, std::string& into) {
  if (text.empty()) return "it is empty: give a name that this request has and no other";
  if (text.size() > kMaxOperationKeyBytes) {
    return "it has " + std::to_string(text.size()) + " bytes and the most is " +
           std::to_string(kMaxOperationKeyBytes);
  }
  into = text;
  return {};
}

}  // namespace

void declare_paths(Options& options, std::vector<std::string>& paths) {
  options.arguments("PATH", "A directory or file, absolute or relative to the working directory",
                    [&paths](const std::string& text) {
                      std::string problem;
                      static_cast<void>(absolute_path(text, problem));
                      paths.push_back(text);
                      return problem;
                    });
}

void declare_select(Options& options, Selection& selection) {
  options.value(
      "--select", "TERMS",
      "Only backends that match all of field=glob[,field=glob...]. Fields: service, version, "
      "instance, replica, label.NAME. Give it again to add others. Default: all backends",
      [&selection](const std::string& text) {
        Selector::Parsed parsed = Selector::parse(text);
        if (parsed.problem.empty()) selection.push_back(std::move(parsed.selector));
        return std::move(parsed.problem);
      },
      true);
}

void declare_quiet(Options& options, bool& quiet) {
  options.flag("-q,--quiet", "Print only errors and warnings; the exit status has the answer",
               quiet);
}

void BroadcastOptions::declare(Options& options) {
  options.duration(
      "--timeout",
      "Time each backend has to answer (500ms, 2s, 1m). A backend that reports progress may get "
      "more, up to the broker's max_ack_timeout (5m unless configured). Default: the backend's own "
      "timeout, else the broker's (5s unless configured)",
      timeout);
  options.duration(
      "--deadline",
      "Time for the whole broadcast, extensions included. Backends that have not "
      "answered by then are timed out. Default: none; a broadcast ends at the latest the "
      "broker's max_ack_timeout (5m unless configured) after it began",
      deadline);
  declare_select(options, selection);
  options.value("--key", "KEY",
                "Name this request. A second request with the same key joins the first or gets its "
                "report; nothing is sent twice",
                [this](const std::string& text) { return read_key(text, key); });
  options.flag("--detach", "Print the broadcast's id and do not wait", detach);
  options.flag(
      "--dry-run",
      "Show which backends would be asked, and ask none. The exit status is 1 if not every "
      "backend could ack: some would fail at once or are not known, or --key would join a "
      "broadcast in which one did not",
      dry_run);
  options.flag("--allow-empty", "Exit with status 0, not 5, if there is no backend to ask",
               allow_empty);
  options.flag("-v,--verbose", "List the backends that acked, too, with their times", verbose);
  declare_quiet(options, quiet);
  declare_sessions(options);
  options.exclude("--detach", "--dry-run");
  options.exclude("--detach", "--quiet");  // the id is all that it prints
}

void BroadcastOptions::declare_sessions(Options& options) {
  options.flag("--no-sessions",
               "Do not ask the brokers of user sessions. Root asks them, too, unless --socket-dir "
               "or MUSTER_SOCKET_DIR names a broker",
               no_sessions);
  options.value("--sessions-dir", "DIR",
                "Ask the brokers of the user sessions in DIR, too. Default: /run/user for root",
                [this](const std::string& text) {
                  if (text.empty()) return std::string("it is empty: name a directory");
                  sessions_dir = text;
                  names_sessions_dir = true;
                  return std::string();
                });
}

void BroadcastOptions::declare_verify(Options& options) {
  options.flag("--verify",
               "Then ask the kernel who still has files in use. The exit status is 0 only if "
               "nobody has, and 6 if somebody has or not everything could be seen",
               verify);
  options.duration("--wait",
                   "With --verify look again until nobody has files in use, at most so long. "
                   "Default: look once",
                   wait);
}

void BroadcastOptions::declare_hold(Options& options) {
  options.flag("--hold",
               "Keep it so: print the report, then hold until Ctrl-C (or SIGTERM), which ends the "
               "hold. With --ttl return at once, and the hold goes on until then",
               hold);
  options.duration("--ttl", "With --hold how long. `musterctl hold end ID` ends it before", ttl);
  options.exclude("--hold", "--key");  // it would be the hold of the first request
}

void BroadcastOptions::declare_waves(Options& options) {
  const auto amount = [&](const char* name, const char* help, std::uint32_t least,
                          std::optional<Amount>& into) {
    options.value(name, "N|P%", help, [least, &into](const std::string& text) {
      Amount read;
      std::string problem = read_amount(text, least, read);
      if (problem.empty()) into = read;
      return problem;
    });
  };
  amount("--batch",
         "Ask at most so many backends at a time, the next when they have answered. A share is "
         "rounded up. Default: all at once",
         1, batch);
  amount("--max-failures",
         "With --batch or --first, stop when more than so many did not ack; those that are left "
         "are not asked. A share is rounded down. Default: 0",
         0, max_failures);
  options.value(
      "--first", "TERMS",
      "Ask the backends that match, as --select has it, before all others. Give it again to add "
      "others",
      [this](const std::string& text) {
        Selector::Parsed parsed = Selector::parse(text);
        if (parsed.problem.empty()) first.push_back(std::move(parsed.selector));
        return std::move(parsed.problem);
      },
      true);
}

void BroadcastOptions::declare_ask_first(Options& options) {
  options.flag("--ask-first",
               "First ask every backend only whether it would. If one objects, or does not answer, "
               "nothing is released, and the exit status is 1",
               ask_first);
}

void BroadcastOptions::check() const {
  if (ask_first && !key.empty()) {
    throw UsageError("--ask-first excludes --key: the key may join an answer of before");
  }
  if (ask_first && (dry_run || detach)) {
    throw UsageError(
        std::string("--ask-first excludes ") +
        (dry_run ? "--dry-run, which asks nobody" : "--detach, which waits for nobody"));
  }
  if (max_failures && !in_waves()) {
    throw UsageError("--max-failures needs --batch or --first");
  }
  if (in_waves() && hold) {
    throw UsageError("--hold excludes --batch and --first: each wave would have a hold of its own");
  }
  if (in_waves() && !key.empty()) {
    throw UsageError("--key excludes --batch and --first: it names one request");
  }
  if (in_waves() && detach) {
    throw UsageError(
        "--detach excludes --batch and --first: musterctl asks one wave after the other");
  }
  if (in_waves() && dry_run) {
    throw UsageError("--dry-run shows no waves: give it without --batch and --first");
  }
  if (dry_run && hold) throw UsageError("--hold excludes --dry-run: nothing is released");
  if (dry_run && wait) {
    throw UsageError("--wait excludes --dry-run: nothing is released that could be waited for");
  }
  if (wait && !verify) throw UsageError("--wait is of --verify: give both");
  if (ttl && !hold) throw UsageError("--ttl is of --hold: give both");
  if (hold && detach && !ttl) {
    throw UsageError("--hold --detach needs --ttl: nobody would end the hold");
  }
}

BroadcastRequest BroadcastOptions::request(BroadcastOperation operation) const {
  BroadcastRequest request;
  request.operation = std::move(operation);
  request.ack_timeout = timeout;
  request.deadline = deadline;
  request.selection = selection;
  request.operation_key = key;
  if (verify) {
    request.verify = true;
    request.verify_wait = wait.value_or(std::chrono::milliseconds(0));
    request.mount_namespace = os::own_mount_namespace();
  }
  // A hold with --ttl belongs to the connection until the answer is here: see leave_to_its_time().
  if (hold) request.hold = HoldRequest{!ttl || !detach, ttl};
  request.traceparent = trace_context("TRACEPARENT");
  request.tracestate = trace_context("TRACESTATE");
  return request;
}

}  // namespace muster::ctl
