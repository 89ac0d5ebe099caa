#include "musterctl/sessions.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

#include "muster/control.h"
#include "muster/json.h"
#include "muster/path.h"
#include "muster/socket_dir.h"

#include "musterctl/console.h"
#include "musterctl/program.h"
#include "musterctl/report_text.h"
#include "musterctl/text.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

// --- asking them

namespace {

namespace fs = std::filesystem;

using SessionClock = std::chrono::steady_clock;

// What a broker may need at most that has not been configured otherwise, as the host's.
constexpr std::chrono::milliseconds kUsualMost = std::chrono::minutes(5);
// Far more than a session's backends have to say.
constexpr std::uint32_t kMostEvents = 100'000;

std::chrono::milliseconds most_of(const BroadcastRequest& request) {
  return request.deadline.value_or(std::max(kUsualMost, request.ack_timeout.value_or(kUsualMost)));
}

void fail(SessionAnswer& answer, int status, const std::string& code, std::string why) {
  answer.status = status;
  answer.error_json = JsonObject().text("code", code).text("message", why).line();
  answer.error_json.pop_back();
  answer.failure = std::move(why);
}

// Why no broker answers at a socket that was there a moment ago; empty where that is not so.
std::string why_gone(const SessionBroker& broker, const ControlFailure& failure) {
  if (failure.system_error() == ENOENT) return "the broker ended: run the command again";
  if (failure.system_error() != ECONNREFUSED) return {};
  const fs::path socket = broker.socket_dir / kControlSocketName;
  return "the broker was killed and left its socket" +
         (kBackendsMayRun + escape_bytes(socket.native()));
}

// What a session's broker is waited for with; `limit` is of the whole.
std::chrono::milliseconds patience_of(std::chrono::milliseconds limit) {
  return std::min(limit, ControlClient::kPatience);
}

}  // namespace

SessionAsks::SessionAsks(const std::vector<SessionBroker>& brokers, const BroadcastRequest& request,
                         bool allow_empty, std::chrono::milliseconds grace)
    : grace_(grace), answers_(brokers.size()), open_(brokers.size()) {
  for (std::size_t i = 0; i < brokers.size(); ++i) answers_[i].broker = brokers[i];
  for (SessionAnswer& answer : answers_) {
    threads_.emplace_back([this, &answer, request, allow_empty] {
      ask(answer, request, allow_empty);
      const std::lock_guard lock(mutex_);
      --open_;
      ended_.notify_all();
    });
  }
}

SessionAsks::~SessionAsks() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void SessionAsks::ask(SessionAnswer& answer, const BroadcastRequest& request, bool allow_empty) {
  if (!answer.broker.gone.empty()) {
    answer.left_over = true;
    return fail(answer, kUnreachable, "UNREACHABLE", answer.broker.gone);
  }
  const auto limit = most_of(request) + grace_;
  const auto until = SessionClock::now() + limit;
  std::uint32_t events = 0;
  try {
    ControlClient client(answer.broker.socket_dir, patience_of(limit));
    const auto uid = client.broker_uid();
    if (uid && *uid != answer.broker.uid && *uid != 0) {
      return fail(answer, kUnreachable, "UNREACHABLE",
                  "the broker belongs to uid " + std::to_string(*uid) + ", not to the session's");
    }
    answer.report = client.broadcast(
        request,
        [&](const Event& event) {
          ++events;
          answer.joined |= event.joined;
          answer.began |= event.kind == Event::Kind::kBroadcastStarted;
        },
        [&] { return !stop_ && events < kMostEvents && SessionClock::now() < until; });
    if (answer.report) {
      answer.status = request.operation.is_preflight()
                          ? status_of_preflight(*answer.report, allow_empty)
                          : exit_status_of(*answer.report, allow_empty);
    } else {
      fail(answer, kUnreachable, "UNREACHABLE", why_stopped(events));
    }
  } catch (const ControlFailure& failure) {
    const bool refused = failure.kind() == ControlFailure::Kind::kRefused;
    std::string gone = why_gone(answer.broker, failure);
    answer.left_over = !gone.empty();
    fail(answer, refused ? kRefused : kUnreachable, "UNREACHABLE",
         gone.empty() ? escape_controls(failure.error().message) : std::move(gone));
    if (refused) answer.error_json = to_json(failure.error());
  } catch (const std::exception& error) {
    fail(answer, kUnreachable, "INTERNAL", error.what());
  }
}

std::string SessionAsks::why_stopped(std::uint32_t events) const {
  if (stop_) return "no longer waiting for its report";
  if (events >= kMostEvents) {
    return "the broker sent " + std::to_string(events) +
           " events and no report: it does not work: restart it";
  }
  return "the broker did not end the broadcast in time: restart it";
}

std::vector<SessionAnswer> SessionAsks::wait(const std::function<bool()>& keep_waiting) {
  {
    std::unique_lock lock(mutex_);
    while (open_ > 0 && keep_waiting()) ended_.wait_for(lock, std::chrono::milliseconds(100));
  }
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return std::move(answers_);
}

// --- a broadcast to all

namespace {

// Keeps what the host's broadcast says on out, so that it becomes a part of the whole.
class HostConsole : public ConsoleInFront {
 public:
  using ConsoleInFront::ConsoleInFront;

  void out(std::string_view text) override { said_ += text; }

  [[nodiscard]] const std::string& said() const noexcept { return said_; }

 private:
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
      .number("exit_status", answer.status);
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

// What the session brokers are asked for. The host's broker verifies: it sees every process. And a
// hold is of one broker.
BroadcastRequest request_of_sessions(BroadcastRequest request) {
  request.verify = false;
  request.verify_wait = {};
  request.mount_namespace = 0;
  request.hold.reset();
  return request;
}

class SessionRun {
 public:
  SessionRun(const Invocation& to, const BroadcastOptions& options) : to_(to), options_(options) {}

  int run(const BroadcastRequest& request, const std::function<int(const Invocation&)>& host) {
    if (leaves_out_all()) return host(to_);
    const FoundSessions found = find();
    std::vector<int> statuses;
    for (const std::string& why : found.left_out) {
      warn("a broker of a user session is left out: " + why);
      statuses.push_back(kUnreachable);
    }
    if (!found.problem.empty()) {
      warn("user sessions are left out: " + found.problem);
      statuses.push_back(kUnreachable);
    }
    // Nothing would end what a session's broker quiesces.
    const bool holds_quiesce = request.hold && request.operation.as_quiesce() != nullptr;
    const bool asks =
        !options_.dry_run && !options_.detach && !holds_quiesce && !found.brokers.empty();
    if (!asks) {
      if (!found.brokers.empty()) {
        const std::string sentence = counted(found.brokers.size(), "broker") +
                                     " of user sessions left out: " +
                                     (options_.dry_run  ? "--dry-run"
                                      : options_.detach ? "--detach"
                                                        : "--hold") +
                                     " is of the host's broker alone";
        options_.dry_run ? note(sentence) : warn(sentence);
      }
      statuses.push_back(host(to_));
      return worst_status(statuses);
    }
    note("asking " + counted(found.brokers.size(), "broker") + " of user sessions, too" +
         (request.hold ? "; they release, and do not hold" : ""));
    SessionAsks sessions(found.brokers, request_of_sessions(request), options_.allow_empty);
    int signal = 0;
    std::vector<SessionAnswer> answers;
    // The kernel is asked when everybody had their time.
    if (request.verify) answers = wait_for(sessions, signal);
    if (signal != 0) {
      report_error(to_.console, to_.common.json, "SIGNAL",
                   "no longer waiting for the brokers of user sessions: the host's broker was not "
                   "asked");
      return kSignalled + signal;
    }
    HostConsole console(to_.console);
    const int status = run_host(to_, console, host);
    if (gave_up(status)) {
      to_.console.out(console.said());
      return status;
    }
    statuses.push_back(status);
    if (!request.verify) answers = wait_for(sessions, signal);
    for (const SessionAnswer& answer : answers) statuses.push_back(answer.status);
    print(console.said(), answers, request);
    return signal != 0 ? kSignalled + signal : worst_status(statuses);
  }

  // See sessions_left_out().
  std::vector<std::string> names() {
    if (leaves_out_all()) return {};
    const FoundSessions found = find();
    std::vector<std::string> names = found.left_out;
    if (!found.problem.empty()) names.push_back("user sessions: " + found.problem);
    for (const SessionBroker& broker : found.brokers) {
      names.push_back(session_name(broker, user_names_of_system()));
    }
    return names;
  }

 private:
  bool leaves_out_all() {
    if (options_.no_sessions) note("the brokers of user sessions are left out (--no-sessions)");
    return options_.no_sessions;
  }

  FoundSessions find() const {
    const SocketDir host_dir = find_socket_dir(to_.common.socket_dir);
    FoundSessions found = find_sessions(options_.sessions_dir, host_dir.path);
    if (found.no_directory && options_.names_sessions_dir) {
      throw UsageError(
          "--sessions-dir: there is no directory " + escape_bytes(options_.sessions_dir.native()) +
          ": name the one that has the sessions' runtime directories (" + kSessionsDir + ')');
    }
    return found;
  }

  void note(const std::string& sentence) {
    if (!options_.quiet && !to_.common.json) to_.console.progress(sentence + '\n');
  }
  void warn(const std::string& sentence) {
    to_.console.err("musterctl: warning: " + sentence + '\n');
  }

  void print(const std::string& of_host, const std::vector<SessionAnswer>& answers,
             const BroadcastRequest& request) {
    if (options_.quiet) {
      to_.console.out(of_host);
      for (const SessionAnswer& answer : answers) {
        if (!answer.report) to_.console.err("musterctl: " + without_report(answer));
      }
      return;
    }
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

  // `signal`: the one that ended the waiting, if one did.
  std::vector<SessionAnswer> wait_for(SessionAsks& sessions, int& signal) {
    return sessions.wait([&] {
      signal = to_.interrupted();
      return signal == 0 && (options_.quiet || !to_.console.out_reader_gone());
    });
  }

  static std::string without_report(const SessionAnswer& answer) {
    return session_name(answer.broker, ReportStyle().user) +
           (answer.began ? ": asked, but has no answer: " : ": not asked: ") + answer.failure +
           '\n';
  }

  void print_text(const SessionAnswer& answer, const BroadcastRequest& request) {
    if (!answer.report) return to_.console.out(without_report(answer));
    ReportStyle style;
    const std::string name = session_name(answer.broker, style.user);
    style.paint = Paint(to_.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    style.name_acks = options_.verbose;
    style.selective = !options_.selection.empty();
    style.asked_timeout = request.ack_timeout;
    style.deadline = request.deadline;
    style.joined = answer.joined;
    style.program = "musterctl --socket-dir " + escape_bytes(answer.broker.socket_dir.native());
    to_.console.out(name + ":\n" + show_report(*answer.report, {}, style));
  }

  const Invocation& to_;
  const BroadcastOptions& options_;
};

}  // namespace

bool asks_sessions(const Invocation& to, const BroadcastOptions& options) {
  if (options.names_sessions_dir) return true;
  const char* const named = ::secure_getenv("MUSTER_SOCKET_DIR");
  const bool default_broker = to.common.socket_dir.empty() && (named == nullptr || *named == '\0');
  return ::geteuid() == 0 && default_broker;
}

std::vector<std::string> sessions_left_out(const Invocation& to, const BroadcastOptions& options) {
  if (!asks_sessions(to, options)) return {};
  return SessionRun(to, options).names();
}

int run_with_sessions(const Invocation& to, const BroadcastOptions& options,
                      const BroadcastRequest& request,
                      const std::function<int(const Invocation&)>& host) {
  return SessionRun(to, options).run(request, host);
}

}  // namespace muster::ctl
