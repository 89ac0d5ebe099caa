// The command `retry`: the same operation again, for those that did not ack.
#include <string>
#include <utility>
#include <vector>

#include "muster/control.h"

#include "musterctl/broadcast_run.h"
#include "musterctl/program.h"
#include "musterctl/retry.h"

namespace muster::ctl {

namespace {

// `text` as a glob that matches nothing else.
std::string exact_glob(const std::string& text) {
  std::string glob;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') glob += '\\';
    glob += c;
  }
  return glob;
}

}  // namespace

Selection selection_of_key(const BackendKey& key) {
  Selection selection;
  const auto add = [&](const std::string& replica) {
    Selector::Parsed parsed =
        Selector::from_terms({{"service", exact_glob(key.service_name)},
                              {"version", exact_glob(key.service_version)},
                              {"instance", exact_glob(key.instance.to_string())},
                              {"replica", replica}});
    if (!parsed.problem.empty()) throw UsageError(parsed.problem);
    selection.push_back(std::move(parsed.selector));
  };
  // What stands behind "~" tells processes apart that share a key: by now this one may have the
  // key without it, or with another.
  const std::size_t mark = key.replica.find('~');
  const std::string own = exact_glob(key.replica.substr(0, mark));
  add(own);
  if (mark != std::string::npos) add(own + "~*");
  return selection;
}

Selection selection_of_not_acked(const BroadcastReport& report) {
  Selection selection;
  for (const BackendOutcome& backend : report.backends) {
    const bool done =
        backend.outcome == OutcomeKind::kAck || backend.outcome == OutcomeKind::kSkippedDead;
    if (done) continue;
    for (Selector& one : selection_of_key(backend.key)) selection.push_back(std::move(one));
  }
  return selection;
}

namespace {

class RetryCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "retry"; }
  [[nodiscard]] std::string summary() const override {
    return "Ask again those backends that did not ack a broadcast";
  }

  void declare(Options& options) override {
    options.argument("ID", "The broadcast", true,
                     [this](const std::string& text) { return read_broadcast_id(text, id_); });
    options.duration(
        "--timeout",
        "Time each backend has to answer. Default: the backend's own timeout, else the "
        "broker's",
        options_.timeout);
    options.duration("--deadline", "Time for the whole broadcast. Default: none",
                     options_.deadline);
    options_.declare_verify(options);
    options.flag("--allow-empty", "Exit with status 0, not 5, if there is no backend to ask",
                 options_.allow_empty);
    options.flag("-v,--verbose", "List the backends that acked, too, with their times",
                 options_.verbose);
    declare_quiet(options, options_.quiet);
    options.epilogue(
        "A new broadcast of the same operation, to those whose outcome was a timeout or a failure\n"
        "and that the broker still knows. It is verified if the first one was. Backends that were\n"
        "not there at the time are not asked.\n"
        "\n"
        "Examples:\n"
        "  musterctl retry 17 --timeout 30s\n");
  }

  int run(const Invocation& invocation) override {
    const BroadcastReport before = make_client(invocation, !options_.quiet).report(id_);
    if (before.result.operation.is_preflight()) {
      throw UsageError("broadcast " + std::to_string(id_) +
                       " was a preflight (--ask-first), which released nothing: run the command "
                       "again");
    }
    if (before.interrupted) {
      throw UsageError("broadcast " + std::to_string(id_) +
                       " was interrupted, and may miss backends: run the command again");
    }
    if (!is_over(before.state)) {
      throw UsageError("broadcast " + std::to_string(id_) +
                       " still runs: `musterctl result --wait` waits for it");
    }
    // What is missing in the report could not be asked again.
    if (before.backends_unknown) {
      throw UsageError("broadcast " + std::to_string(id_) +
                       " may miss backends: run the command again");
    }
    options_.selection = selection_of_not_acked(before);
    options_.verify = options_.verify || before.verify;
    if (options_.selection.empty()) {
      throw UsageError("every backend of broadcast " + std::to_string(id_) +
                       " acked: there is none to ask again");
    }
    return run_broadcast_of_one(invocation, options_, before.result.operation);
  }

 private:
  BroadcastId id_ = 0;
  BroadcastOptions options_;
};

}  // namespace

std::unique_ptr<Command> retry_command() { return std::make_unique<RetryCommand>(); }

}  // namespace muster::ctl
