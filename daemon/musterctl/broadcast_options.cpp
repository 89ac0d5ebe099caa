#include "musterctl/broadcast_options.h"

#include <cstdlib>

namespace muster::ctl {
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
  options.flag("-q,--quiet", "Print only errors; the exit status has the answer", quiet);
}

void BroadcastOptions::declare(Options& options) {
  options.duration(
      "--timeout",
      "Time each backend has to answer (500ms, 2s, 1m). A backend that reports progress may get "
      "more, up to the broker's max_ack_timeout (5m unless configured). Default: the backend's own "
      "timeout, else the broker's (5s unless configured)",
      timeout);
  options.duration("--deadline",
                   "Time for the whole broadcast, extensions included. Backends that have not "
                   "answered by then are timed out. Default: none",
                   deadline);
  declare_select(options, selection);
  options.value("--key", "KEY",
                "Name this request. A second request with the same key joins the first or gets its "
                "report; nothing is sent twice",
                [this](const std::string& text) { return read_key(text, key); });
  options.flag("--detach", "Print the broadcast's id and do not wait", detach);
  options.flag("--dry-run",
               "Show which backends would be asked, and ask none. The exit status is 0 also if "
               "--key would join a broadcast",
               dry_run);
  options.flag("--allow-empty", "Exit with status 0, not 5, if there is no backend to ask",
               allow_empty);
  options.flag("-v,--verbose", "List the backends that acked, too, with their times", verbose);
  declare_quiet(options, quiet);
  options.flag("--no-sessions",
               "Do not ask the brokers of user sessions. Root asks them, too, unless --socket-dir "
               "or MUSTER_SOCKET_DIR names a broker",
               no_sessions);
  options.value("--sessions-dir", "DIR",
                "Ask the brokers of the user sessions in DIR, too. Default: /run/user for root",
                [this](const std::string& text) {
                  if (text.empty()) return std::string("it is empty: name a directory");
                  sessions_dir = text;
                  return std::string();
                });
  options.exclude("--detach", "--dry-run");
  options.exclude("--detach", "--quiet");  // the id is all that it prints
}

BroadcastRequest BroadcastOptions::request(BroadcastOperation operation) const {
  BroadcastRequest request;
  request.operation = std::move(operation);
  request.ack_timeout = timeout;
  request.deadline = deadline;
  request.selection = selection;
  request.operation_key = key;
  request.traceparent = trace_context("TRACEPARENT");
  request.tracestate = trace_context("TRACESTATE");
  return request;
}

}  // namespace muster::ctl
