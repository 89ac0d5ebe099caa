// The commands about the broker and its backends: backends, status, watch, forget, ping.
#include <optional>
#include <sstream>
#include <string>

#include "muster/control.h"
#include "muster/json.h"
#include "muster/path.h"

#include "musterctl/program.h"
#include "musterctl/progress.h"
#include "musterctl/text.h"
#include "musterctl/user_names.h"
#include "musterctl/view_text.h"

namespace muster::ctl {

// --- backends

namespace {

class BackendsCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "backends"; }
  [[nodiscard]] std::string summary() const override {
    return "List the backends, dead ones included";
  }

  void declare(Options& options) override {
    declare_select(options, selection_);
    options.epilogue(
        "PID, USER and EXE are facts of the kernel about the process that connected. EXE was read\n"
        "when it registered. SINCE is the time of the last change of STATE. INC is the\n"
        "incarnation, one for each connection. OPEN is the number of operations that the backend\n"
        "has not answered.\n"
        "\n"
        "Examples:\n"
        "  musterctl backends\n"
        "  musterctl backends --select 'service=zcc*'\n"
        "  musterctl backends --json | jq -r '.backends[] | select(.state == \"DEAD\") | .pid'\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, true);
    const std::vector<BackendInfo> backends = client.backends(selection_);
    ViewStyle style;
    style.selective = !selection_.empty();
    style.paint = Paint(invocation.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    invocation.console.out(invocation.common.json ? to_json(backends) + '\n'
                                                  : show_backends(backends, style));
    return kAllAcked;
  }

 private:
  Selection selection_;
};

}  // namespace

std::unique_ptr<Command> backends_command() { return std::make_unique<BackendsCommand>(); }

// --- status

namespace {

class StatusCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "status"; }
  [[nodiscard]] std::string summary() const override {
    return "Show the state of the broker and its counters";
  }

  void declare(Options& options) override {
    options.epilogue(
        "The counters start at zero when the broker starts.\n"
        "\n"
        "Examples:\n"
        "  musterctl status\n"
        "  musterctl status --json | jq '.counters.timeouts'\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, true);
    const BrokerStatus status = client.status();
    ViewStyle style;
    style.paint = Paint(invocation.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    invocation.console.out(invocation.common.json ? to_json(status) + '\n'
                                                  : show_status(status, style));
    return kAllAcked;
  }
};

}  // namespace

std::unique_ptr<Command> status_command() { return std::make_unique<StatusCommand>(); }

// --- watch

namespace {

class WatchCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "watch"; }
  [[nodiscard]] std::string summary() const override {
    return "Print the broker's events until Ctrl-C";
  }

  void declare(Options& options) override {
    options.epilogue(
        "One line an event: registrations, deaths, refusals, broadcasts and every answer. With\n"
        "--json one object a line. A reader that is too slow loses events; a line says how many.\n"
        "\n"
        "Examples:\n"
        "  musterctl watch\n"
        "  musterctl watch --json | jq 'select(.kind == \"BACKEND_DEAD\")'\n");
  }

  int run(const Invocation& invocation) override {
    if (invocation.console.out_is_closed()) return kOutputLost;
    ControlClient client = make_client(invocation, true);
    const UserName user = user_names_of_system();
    int signal = 0;
    bool said = invocation.common.json;
    client.watch(
        [&](const Event& event) {
          invocation.console.out(invocation.common.json ? to_json(event) + '\n'
                                                        : show_watched_event(event, user));
        },
        [&] {
          // Else nothing would say that it has begun, and that what is missing did not happen.
          if (!said) invocation.console.progress("watching; Ctrl-C ends it\n");
          said = true;
          signal = invocation.interrupted();
          return signal == 0 && !invocation.console.out_failed() &&
                 !invocation.console.out_reader_gone();
        });
    return signal == 0 ? kOutputLost : kSignalled + signal;
  }
};

}  // namespace

std::unique_ptr<Command> watch_command() { return std::make_unique<WatchCommand>(); }

// --- forget

namespace {

// Reads what BackendKey::to_string() writes, which is what `backends` shows. Without a version: the
// service alone.
std::optional<BackendKey> read_key(const std::string& text) {
  std::istringstream words(text);
  BackendKey key;
  words >> key.service_name >> key.service_version;
  for (std::string word; words >> word;) {
    if (word.size() > 2 && word.front() == '[' && word.back() == ']') {
      const auto instance = Instance::parse(word.substr(1, word.size() - 2));
      if (!instance) return std::nullopt;
      key.instance = *instance;
    } else if (word.size() > 1 && word.front() == '#') {
      key.replica = word.substr(1);
    } else {
      return std::nullopt;
    }
  }
  if (key.service_name.empty()) return std::nullopt;
  return key;
}

// The one backend that is not connected and has this service.
BackendKey find_gone(ControlClient& client, const std::string& service) {
  std::optional<BackendKey> found;
  for (const BackendInfo& backend : client.backends()) {
    const bool gone = backend.state == BackendState::kDead || backend.state == BackendState::kLost;
    if (!gone || backend.key.service_name != service) continue;
    if (found) {
      throw UsageError("forget: several backends of service \"" + escape_bytes(service) +
                       "\" are dead or lost: give the whole KEY, as `musterctl backends` has it");
    }
    found = backend.key;
  }
  if (!found) {
    throw ControlFailure(
        ControlFailure::Kind::kRefused,
        {ControlError::Code::kNotFound, "no backend of service \"" + escape_bytes(service) +
                                            "\" is dead or lost: see `musterctl backends`"});
  }
  return *found;
}

class ForgetCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "forget"; }
  [[nodiscard]] std::string summary() const override {
    return "Remove a dead or lost backend from the list";
  }

  void declare(Options& options) override {
    options.flag("--lost-roster",
                 "Forget that the broker could not read its roster: nobody is missing",
                 lost_roster_);
    options.argument(
        "KEY", "The backend, as `musterctl backends` shows it, in quotes", false,
        [this](const std::string& text) {
          const auto key = read_key(text);
          if (key) key_ = *key;
          return key ? std::string()
                     : '"' + escape_bytes(text) +
                           "\" is not a key: write it as `musterctl backends` does, like "
                           "\"soldr 2.0.1 #r2\"";
        });
    declare_quiet(options, quiet_);
    options.epilogue(
        "A process of a lost backend may still run. Once the backend is forgotten, no broadcast\n"
        "fails because of it: make sure that no process of it uses the files. The backend is\n"
        "listed again when it registers again, or is refused again. The service alone is enough "
        "if\n"
        "only one backend of it is dead or lost.\n"
        "\n"
        "When the broker could not read its roster, or refused more processes than it lists, it "
        "does\n"
        "not know whom it misses, and no broadcast ends with status 0 until the host restarts or\n"
        "--lost-roster is given. Look first that no process uses files without being listed by\n"
        "`musterctl backends`.\n"
        "\n"
        "Examples:\n"
        "  musterctl forget 'soldr 2.0.1 #r2'\n"
        "  musterctl forget soldr\n"
        "  musterctl forget --lost-roster\n");
  }

  int run(const Invocation& invocation) override {
    if (lost_roster_ == !key_.service_name.empty()) {
      throw UsageError("forget takes a key or --lost-roster: one of them");
    }
    ControlClient client = make_client(invocation, !quiet_);
    if (lost_roster_) return forget_roster(client, invocation);
    if (key_.service_version.empty()) key_ = find_gone(client, key_.service_name);
    client.forget(key_);
    if (quiet_) return kAllAcked;
    invocation.console.out(invocation.common.json
                               ? JsonObject().text("forgotten", key_.to_string()).line()
                               : shown(key_) + " was forgotten\n");
    return kAllAcked;
  }

 private:
  int forget_roster(ControlClient& client, const Invocation& invocation) const {
    client.forget_lost_roster();
    if (quiet_) return kAllAcked;
    invocation.console.out(invocation.common.json
                               ? JsonObject().text("forgotten", "lost roster").line()
                               : "the broker takes its list of backends for complete now\n");
    return kAllAcked;
  }

  BackendKey key_;
  bool lost_roster_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> forget_command() { return std::make_unique<ForgetCommand>(); }

// --- ping

namespace {

class PingCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "ping"; }
  [[nodiscard]] std::string summary() const override {
    return "Check whether the broker answers, and how fast";
  }

  void declare(Options& options) override {
    options.duration("--timeout", "Time to wait for the answer. Default: 10s", timeout_);
    declare_quiet(options, quiet_);
    options.epilogue(
        "Examples:\n"
        "  musterctl ping\n"
        "  musterctl ping --quiet --timeout 1s || echo no broker\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client =
        make_client(invocation, !quiet_, timeout_.value_or(ControlClient::kPatience));
    const PingReply reply = client.ping();
    if (quiet_) return kAllAcked;
    if (invocation.common.json) {
      const std::string ms = std::to_string(static_cast<double>(reply.round_trip.count()) / 1'000);
      invocation.console.out(JsonObject()
                                 .text("broker_version", reply.broker_version)
                                 .number("pid", reply.broker_pid)
                                 .raw("round_trip_ms", ms)
                                 .line());
    } else {
      invocation.console.out("musterd " + escape_bytes(reply.broker_version) + " (pid " +
                             std::to_string(reply.broker_pid) + ") answered in " +
                             show_measured(reply.round_trip) + '\n');
    }
    return kAllAcked;
  }

 private:
  std::optional<std::chrono::milliseconds> timeout_;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> ping_command() { return std::make_unique<PingCommand>(); }

}  // namespace muster::ctl
