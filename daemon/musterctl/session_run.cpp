#include "musterctl/session_run.h"

#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

#include "muster/json.h"
#include "muster/path.h"
#include "muster/socket_dir.h"

#include "musterctl/errors.h"
#include "musterctl/exit_status.h"
#include "musterctl/json_object.h"
#include "musterctl/report_text.h"
#include "musterctl/session_asks.h"
#include "musterctl/sessions.h"
#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {
namespace {

// Keeps what the host's broadcast says on out, so that it becomes a part of the whole.
class HostConsole : public Console {
 public:
  explicit HostConsole(Console& console) : console_(console) {}

  void out(std::string_view text) override { said_ += text; }
  void err(std::string_view text) override { console_.err(text); }
  void progress(std::string_view text) override { console_.progress(text); }
  [[nodiscard]] bool out_failed() const override { return console_.out_failed(); }
  [[nodiscard]] bool err_failed() const override { return console_.err_failed(); }
  [[nodiscard]] bool out_is_closed() const override { return console_.out_is_closed(); }
  [[nodiscard]] bool out_reader_gone() const override { return console_.out_reader_gone(); }
  [[nodiscard]] bool err_is_live() const override { return console_.err_is_live(); }
  [[nodiscard]] std::size_t err_columns() const override { return console_.err_columns(); }
  [[nodiscard]] bool out_has_colour() const override { return console_.out_has_colour(); }

  [[nodiscard]] const std::string& said() const noexcept { return said_; }

 private:
  Console& console_;
  std::string said_;
};

int run_host(const Invocation& to, HostConsole& console,
             const std::function<int(const Invocation&)>& host) {
  try {
    return host(Invocation{to.common, console, to.interrupted});
  } catch (const ControlFailure& failure) {
    return report_failure(console, to.common.json, failure);
  }
}

// It will not be waited for: a signal came, or nobody reads.
bool gave_up(int status) { return status >= kOutputLost; }

std::string session_json(const SessionAnswer& answer) {
  JsonObject object;
  object.number("uid", answer.broker.uid)
      .text("socket_dir", escape_bytes(answer.broker.socket_dir.native()))
      .number("exit_status", answer.left_over ? kNobody : answer.status);
  if (answer.report) {
    object.raw("report", to_json(*answer.report));
  } else {
    object.boolean("left_over", answer.left_over).raw("error", answer.error_json);
  }
  std::string text = object.line();
  text.pop_back();
  return text;
}

std::string session_name(const SessionBroker& broker, const UserName& user) {
  const std::string name = user(broker.uid);
  const std::string uid = "uid " + std::to_string(broker.uid);
  return "session of " + (name.empty() ? uid : name + " (" + uid + ')') + ", " +
         escape_bytes(broker.socket_dir.native());
}

class SessionRun {
 public:
  SessionRun(const Invocation& to, const BroadcastOptions& options) : to_(to), options_(options) {}

  int run(const BroadcastRequest& request, const std::function<int(const Invocation&)>& host) {
    if (options_.no_sessions) {
      note("the brokers of user sessions are left out (--no-sessions)");
      return host(to_);
    }
    const SocketDir host_dir = find_socket_dir(to_.common.socket_dir);
    const FoundSessions found = find_sessions(options_.sessions_dir, host_dir.path);
    for (const std::string& why : found.left_out) {
      warn("a broker of a user session is left out: " + why);
    }
    std::vector<int> statuses;
    if (!found.problem.empty()) {
      warn("user sessions are left out: " + found.problem);
      statuses.push_back(kUnreachable);
    }
    const bool asks = !options_.dry_run && !options_.detach && !found.brokers.empty();
    if (!asks) {
      if (!found.brokers.empty()) {
        note(counted(found.brokers.size(), "broker") + " of user sessions left out: " +
             (options_.dry_run ? "--dry-run" : "--detach") + " is of the host's broker alone");
      }
      statuses.push_back(host(to_));
      return worst_status(statuses);
    }
    note("asking " + counted(found.brokers.size(), "broker") + " of user sessions, too");
    SessionAsks sessions(found.brokers, request, options_.allow_empty);
    HostConsole console(to_.console);
    const int status = run_host(to_, console, host);
    if (gave_up(status)) {
      to_.console.out(console.said());
      return status;
    }
    statuses.push_back(status);
    int signal = 0;
    const std::vector<SessionAnswer> answers = sessions.wait([&] {
      signal = to_.interrupted();
      return signal == 0 && (options_.quiet || !to_.console.out_reader_gone());
    });
    for (const SessionAnswer& answer : answers) {
      if (!answer.left_over) statuses.push_back(answer.status);
    }
    print(console.said(), answers, request);
    return signal != 0 ? kSignalled + signal : worst_status(statuses);
  }

 private:
  void note(const std::string& sentence) {
    if (!options_.quiet && !to_.common.json) to_.console.progress(sentence + '\n');
  }
  void warn(const std::string& sentence) {
    if (!options_.quiet) to_.console.err("musterctl: warning: " + sentence + '\n');
  }

  void print(const std::string& of_host, const std::vector<SessionAnswer>& answers,
             const BroadcastRequest& request) {
    if (options_.quiet) return to_.console.out(of_host);
    if (to_.common.json) {
      std::string list;
      for (const SessionAnswer& answer : answers) {
        list += (list.empty() ? "" : ",") + session_json(answer);
      }
      const std::string_view object = std::string_view(of_host).substr(0, of_host.find('\n'));
      to_.console.out(JsonObject().members_of(object).raw("sessions", '[' + list + ']').line());
      return;
    }
    to_.console.out(of_host);
    for (const SessionAnswer& answer : answers) print_text(answer, request);
  }

  void print_text(const SessionAnswer& answer, const BroadcastRequest& request) {
    ReportStyle style;
    const std::string name = session_name(answer.broker, style.user);
    if (!answer.report) {
      const std::string what = answer.left_over ? ": no broker any more: " : ": not asked: ";
      to_.console.out(name + what + answer.failure + '\n');
      return;
    }
    style.paint = Paint(to_.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    style.name_acks = options_.verbose;
    style.selective = !options_.selection.empty();
    style.asked_timeout = request.ack_timeout;
    style.joined = answer.joined;
    style.program = "musterctl --socket-dir " + escape_bytes(answer.broker.socket_dir.native());
    to_.console.out(name + ":\n" + show_report(*answer.report, {}, style));
  }

  const Invocation& to_;
  const BroadcastOptions& options_;
};

}  // namespace

bool asks_sessions(const Invocation& to, const BroadcastOptions& options) {
  if (options.sessions_dir != kSessionsDir) return true;  // asked for by name
  const char* const named = ::secure_getenv("MUSTER_SOCKET_DIR");
  const bool default_broker = to.common.socket_dir.empty() && (named == nullptr || *named == '\0');
  return ::geteuid() == 0 && default_broker;
}

int run_with_sessions(const Invocation& to, const BroadcastOptions& options,
                      const BroadcastRequest& request,
                      const std::function<int(const Invocation&)>& host) {
  return SessionRun(to, options).run(request, host);
}

}  // namespace muster::ctl
