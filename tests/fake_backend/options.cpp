#include "fake_backend/options.h"

#include <iostream>
#include <limits>
#include <optional>

#include <CLI/CLI.hpp>

#include "muster/path.h"
#include "muster/socket_dir.h"
#include "muster/text.h"

#include "fake_backend/duration.h"
#include "model/operation_table.h"

namespace muster::fake {
namespace {

// As they were written; what CLI11 cannot check is checked in convert().
struct Raw {
  std::string socket_dir;
  std::string instance = "shared";
  std::vector<std::string> labels;
  std::string ack_timeout;
  std::string idle_timeout;
  std::array<std::vector<std::string>, BroadcastOperation::kKnown> on;  // by OperationKind
  std::string registering = "now";
  std::string reopen_after;
};

class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::optional<std::chrono::milliseconds> read_duration(const char* option,
                                                       const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto duration = fake::read_duration(text);
  if (!duration) {
    throw UsageError(std::string(option) + ": " + quote(text) +
                     " is no duration: write one like 200ms or 2s");
  }
  return duration;
}

Behaviour read_behaviour(const std::string& option, const std::string& text) {
  Behaviour::Parsed parsed = Behaviour::parse(text);
  if (!parsed.problem.empty()) throw UsageError(option + ": " + parsed.problem);
  return parsed.behaviour;
}

// "release"
std::string word_of(std::size_t operation) {
  const OperationRow& row = all_operations()[operation];
  return std::string(row.action ? to_string(*row.action) : row.name);
}

// "--on-release"
std::string behaviour_option(std::size_t operation) { return "--on-" + word_of(operation); }

std::vector<Behaviour> read_behaviours(const std::string& option,
                                       const std::vector<std::string>& texts) {
  std::vector<Behaviour> behaviours;
  behaviours.reserve(texts.size());
  for (const std::string& text : texts) behaviours.push_back(read_behaviour(option, text));
  return behaviours;
}

Behaviour read_registering(const std::string& text) {
  Behaviour behaviour;
  if (text == "now") return behaviour;
  behaviour.act = Act::kSilent;
  if (text == "never") return behaviour;
  behaviour = read_behaviour("--register", text);
  if (behaviour.act == Act::kHalfFrame || behaviour.act == Act::kByteByByte ||
      behaviour.act == Act::kGarbage) {
    return behaviour;
  }
  throw UsageError("--register: " + quote(text) +
                   " is not one of now, never, half-frame, byte-by-byte[:D], garbage[:KIND]");
}

void convert(const Raw& raw, Options& options) {
  const SocketDir dir = find_socket_dir(raw.socket_dir);
  if (!dir.problem.empty()) throw UsageError("--socket-dir: " + dir.problem);
  options.socket = dir.path / kBackendSocketName;

  const auto instance = Instance::parse(raw.instance);
  if (!instance) {
    throw UsageError("--instance: " + quote(raw.instance) +
                     " is not one of shared, private:SERVICE, explicit:NAME");
  }
  options.registration.key.instance = *instance;
  for (const std::string& label : raw.labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos) {
      throw UsageError("--label: " + quote(label) + " has no '=': write NAME=VALUE");
    }
    options.registration.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  options.registration.ack_timeout = read_duration("--ack-timeout", raw.ack_timeout);
  options.registration.idle_timeout = read_duration("--idle-timeout", raw.idle_timeout);
  options.registration.sdk_name = "muster-fake-backend";
  options.registration.sdk_version = "1";
  for (std::size_t i = 0; i < options.on.size(); ++i) {
    options.on.at(i) = read_behaviours(behaviour_option(i), raw.on.at(i));
  }
  options.registering = read_registering(raw.registering);
  for (std::string& path : options.keep_open) {
    NormalizedPath normal = normalize_path_prefix(path);
    if (!normal.problem.empty()) throw UsageError("--keep-open: " + normal.problem);
    path = std::move(normal.path);
  }
  options.reopen_after = read_duration("--reopen-after", raw.reopen_after);
}

void declare(CLI::App& app, Raw& raw, Options& options) {
  Registration& registration = options.registration;
  registration.key.service_version = "1.0.0";
  app.add_option("--socket-dir", raw.socket_dir, "where backend.sock is")->type_name("DIR");
  app.add_option("--service", registration.key.service_name, "the service's name")
      ->type_name("NAME")
      ->required();
  app.add_option("--version", registration.key.service_version, "the service's version (1.0.0)")
      ->type_name("V");
  app.add_option("--instance", raw.instance, "shared, private:SERVICE or explicit:NAME")
      ->type_name("I");
  app.add_option("--replica", registration.key.replica, "tells apart processes of one service")
      ->type_name("R");
  app.add_option("--label", raw.labels, "NAME=VALUE; repeatable")
      ->type_name("K=V")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--ack-timeout", raw.ack_timeout, "the time for its answers that it declares")
      ->type_name("D");
  app.add_option("--idle-timeout", raw.idle_timeout, "asks to be quiesced when idle for so long")
      ->type_name("D");
  app.add_option("--min-protocol", registration.min_protocol, "the oldest protocol it claims");
  app.add_option("--max-protocol", registration.max_protocol, "the newest protocol it claims");
  app.add_option(
         "--count", options.count,
         "so many backends; their replicas are R0, R1, R2 ... (0, 1, 2 ... without --replica)")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000));
  for (std::size_t i = 0; i < raw.on.size(); ++i) {
    raw.on.at(i) = {"ack"};
    app.add_option(behaviour_option(i), raw.on.at(i),
                   "what it does when asked to " + word_of(i) +
                       " (ack); repeated: the n-th time the n-th, then the last")
        ->type_name("B")
        ->allow_extra_args(false)
        ->take_all();
  }
  app.add_option("--register", raw.registering,
                 "how it registers: now, never, half-frame, byte-by-byte[:D], garbage[:KIND]")
      ->type_name("HOW");
  app.add_option("--keep-open", options.keep_open,
                 "has this file (made if it is missing) or directory open; repeatable. A release\n"
                 "that covers it and is acked closes it, and it is opened again at once, or when\n"
                 "no hold covers it any more")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--reopen-after", raw.reopen_after,
                 "opens what a release closed again after so long, although it is held")
      ->type_name("D");
  app.add_flag("--never-close", options.never_close, "acks releases, and keeps all files open");
  app.add_flag("!--no-reconnect", options.reconnect,
               "does not come back when the broker ends a connection; exits when all are ended");
  app.add_flag("--quiet", options.quiet, "prints only 'ready N' once all are registered");
  app.add_flag("--verbose", options.verbose, "prints its answers, too");
}

}  // namespace

std::string Options::prefix(std::size_t index) const {
  return count > 1 ? "[" + registration.key.replica + std::to_string(index) + "] " : "";
}

Registration Options::registration_of(std::size_t index) const {
  Registration one = registration;
  if (count > 1) one.key.replica += std::to_string(index);
  return one;
}

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Raw raw;
  CLI::App app("A backend for tests: registers with a broker and behaves as it is told.");
  app.name("muster-fake-backend");
  app.footer(behaviours_help() +
             "\nExit status: 0 after SIGTERM or SIGINT (it deregisters first), 2 usage,\n"
             "3 broker not reachable (with --no-reconnect), 4 refused by the broker.");
  declare(app, raw, parsed.options);
  try {
    app.parse(argc, argv);
    convert(raw, parsed.options);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    parsed.exit = true;
  } catch (const CLI::ParseError& error) {
    std::cerr << "muster-fake-backend: " << error.what() << " (see --help)\n";
    parsed.exit = true;
    parsed.status = kExitUsage;
  } catch (const UsageError& error) {
    std::cerr << "muster-fake-backend: " << error.what() << '\n';
    parsed.exit = true;
    parsed.status = kExitUsage;
  }
  return parsed;
}

}  // namespace muster::fake
