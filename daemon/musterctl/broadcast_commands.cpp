// The commands about broadcasts: release-handles, quiesce, result, cancel, resume.
#include "muster/control.h"

#include "model/operation_table.h"
#include "musterctl/broadcast_run.h"
#include "musterctl/program.h"
#include "musterctl/resolve_path.h"
#include "musterctl/text.h"

namespace muster::ctl {

// --- operations

// The operations that can be asked for, a command each. Adding one: a class here.
namespace {

class OperationCommand : public Command {
 public:
  explicit OperationCommand(const OperationRow& row) : row_(row) {}
  [[nodiscard]] std::string name() const override { return std::string(row_.name); }

 protected:
  BroadcastOptions options_;

 private:
  const OperationRow& row_;
};

class ReleaseHandlesCommand : public OperationCommand {
 public:
  using OperationCommand::OperationCommand;

  [[nodiscard]] std::string summary() const override {
    return "Ask every backend to release all files below a path";
  }

  void declare(Options& options) override {
    options.argument("PATH", "The directory or file, absolute or relative to the working directory",
                     true, [this](const std::string& text) {
                       std::string problem;
                       static_cast<void>(absolute_path(text, problem));
                       path_ = text;
                       return problem;
                     });
    options_.declare(options);
    options_.declare_verify(options);
    options_.declare_hold(options);
    options_.declare_waves(options);
    options_.declare_ask_first(options);
    options.flag("--as-written",
                 "Do not resolve PATH: ask the backends for it as it is written. Default: resolve "
                 "it, and ask no backend if that fails",
                 as_written_);
    options.epilogue(
        "Backends close what they have open at PATH or below it, by whole components: /mnt/a\n"
        "covers /mnt/a/x, never /mnt/ab. Every backend gets the request at the same time and has\n"
        "its own time to answer. Symbolic links in PATH are resolved; backends get the resolved\n"
        "path and the spelling that was given.\n"
        "A PATH that does not exist is sent all the same, with a warning. One that cannot be\n"
        "resolved for another reason is an error, and no backend is asked.\n"
        "An ack is a claim of the backend. --verify asks the kernel, which also sees processes "
        "that\n"
        "know nothing of Muster; see musterctl holders --help. --dry-run --verify shows who would "
        "be\n"
        "asked and who has files in use now, and sends nothing.\n"
        "\n"
        "Examples:\n"
        "  musterctl release-handles --verify --wait 5s /var/cache/x && rm -r /var/cache/x\n"
        "  musterctl release-handles --timeout 30s --select 'service=zcc*,label.tier=hot' /mnt/a\n"
        "  musterctl release-handles --hold --ttl 10m /mnt/a\n"
        "  musterctl release-handles --first label.tier=canary --batch 25% --max-failures 1 "
        "/mnt/a\n"
        "  musterctl release-handles --ask-first /mnt/a\n"
        "  musterctl release-handles --json . | jq '.result.timeouts'\n"
        "  id=$(musterctl release-handles --detach /mnt/a); musterctl result --wait $id\n");
  }

  int run(const Invocation& invocation) override {
    ResolvedPath resolved = as_written_ ? path_as_written(path_) : resolve_path(path_);
    if (!resolved.problem.empty()) throw UsageError(resolved.problem);
    return run_broadcast(
        invocation, options_,
        BroadcastOperation::release_handles(std::move(resolved.path), std::move(resolved.alias)),
        resolved.warnings);
  }

 private:
  std::string path_;  // as it was written
  bool as_written_ = false;
};

class QuiesceCommand : public OperationCommand {
 public:
  using OperationCommand::OperationCommand;

  [[nodiscard]] std::string summary() const override {
    return "Ask every backend to take no more work and drain";
  }

  void declare(Options& options) override {
    options_.declare(options);
    options_.declare_hold(options);
    options_.declare_waves(options);
    options_.declare_ask_first(options);
    options.epilogue(
        "The backends get the reason \"maintenance\". They stay quiesced until musterctl resume, "
        "or\n"
        "with --hold until that ends.\n"
        "\n"
        "Examples:\n"
        "  musterctl quiesce --timeout 1m\n"
        "  musterctl quiesce --select service=zccache --select 'instance=private:*'\n"
        "  musterctl quiesce --batch 1\n"
        "  musterctl quiesce --dry-run\n");
  }

  int run(const Invocation& invocation) override {
    return run_broadcast(invocation, options_,
                         BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  }
};

std::unique_ptr<Command> command_of(const OperationRow& row) {
  switch (row.kind) {
    case OperationKind::kReleaseHandles:
      return std::make_unique<ReleaseHandlesCommand>(row);
    case OperationKind::kQuiesce:
      return std::make_unique<QuiesceCommand>(row);
    case OperationKind::kPreflight:  // an option of the others
    case OperationKind::kUnknown:
      break;
  }
  return nullptr;
}

}  // namespace

std::vector<std::unique_ptr<Command>> operation_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  for (const OperationRow& row : all_operations()) {
    if (auto command = command_of(row)) commands.push_back(std::move(command));
  }
  return commands;
}

// --- result

namespace {

class ResultCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "result"; }
  [[nodiscard]] std::string summary() const override {
    return "Show the report of a broadcast, or its progress";
  }

  void declare(Options& options) override {
    options.argument("ID", "The id of the broadcast. Default: \"last\", the newest", false,
                     [this](const std::string& text) {
                       return text == "last" ? std::string() : read_broadcast_id(text, id_);
                     });
    options.flag("--wait", "Wait for the end of a broadcast that still runs", wait_);
    options.flag("--allow-empty", "Exit with status 0, not 5, if there is no backend to ask",
                 allow_empty_);
    options.flag("-v,--verbose", "List the backends that acked, too, with their times", verbose_);
    declare_quiet(options, quiet_);
    options.epilogue(
        "The exit status is that of the broadcast and its verification; 1 while it runs, and 1 of "
        "a\n"
        "preflight (--ask-first), which releases nothing. Late answers are listed and change "
        "nothing.\n"
        "\n"
        "Examples:\n"
        "  musterctl result\n"
        "  musterctl result 17 --wait\n"
        "  musterctl result last --json | jq '.backends[] | {service: .key.service_name, "
        "latency_ms}'\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, !quiet_);
    const BroadcastReport report = client.report(id_, wait_);
    ReportStyle style;
    style.name_acks = verbose_;
    style.name_operator = true;
    if (!quiet_) print_report(invocation, client, report, std::move(style), {});
    return exit_status_of(report, allow_empty_);
  }

 private:
  BroadcastId id_ = 0;
  bool wait_ = false;
  bool allow_empty_ = false;
  bool verbose_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> result_command() { return std::make_unique<ResultCommand>(); }

// --- cancel

namespace {

class CancelCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "cancel"; }
  [[nodiscard]] std::string summary() const override {
    return "End a broadcast now: cancel it for the backends that have not answered";
  }

  void declare(Options& options) override {
    options.argument("ID", "The broadcast", true,
                     [this](const std::string& text) { return read_broadcast_id(text, id_); });
    declare_quiet(options, quiet_);
    options.epilogue(
        "Backends that had not answered count as failed, \"cancelled\". A broadcast that has\n"
        "finished does not change, and the exit status is 0.\n"
        "\n"
        "Examples:\n"
        "  musterctl cancel 17\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, !quiet_);
    const std::uint32_t open = client.cancel(id_);
    if (quiet_) return kAllAcked;
    if (invocation.common.json) {
      invocation.console.out(
          JsonObject().big("broadcast_id", id_).number("cancelled_targets", open).line());
    } else {
      invocation.console.out(
          "broadcast " + std::to_string(id_) +
          (open == 0 ? " had finished already\n"
                     : " cancelled, " + counted(open, "backend") + " had not answered\n"));
    }
    return kAllAcked;
  }

 private:
  BroadcastId id_ = 0;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> cancel_command() { return std::make_unique<CancelCommand>(); }

// --- resume

namespace {

class ResumeCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "resume"; }
  [[nodiscard]] std::string summary() const override {
    return "End quiesces: backends may take work again";
  }

  void declare(Options& options) override {
    options.argument("ID", "The broadcast that quiesced them. Default: any", false,
                     [this](const std::string& text) { return read_broadcast_id(text, id_); });
    declare_select(options, selection_);
    options.flag("--allow-empty", "Exit with status 0, not 5, if there is no backend to resume",
                 allow_empty_);
    declare_quiet(options, quiet_);
    options.exclude("--select", "ID");
    options.epilogue(
        "Without ID and --select every quiesced backend resumes. With ID that one quiesce ends;\n"
        "a backend resumes when its last one has ended. The exit status is 1 if a backend has not\n"
        "resumed: because it is not connected (it resumes when it is back), because it is still\n"
        "quiesced by another broadcast, or because it has to be restarted to resume.\n"
        "\n"
        "Examples:\n"
        "  musterctl resume\n"
        "  musterctl resume 17\n"
        "  musterctl resume --select service=zccache\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, !quiet_);
    const Resumed resumed = client.resume(id_, selection_);
    if (!quiet_) invocation.console.out(invocation.common.json ? json(resumed) : text(resumed));
    if (resumed.cannot_resume + resumed.away + resumed.still_quiesced > 0) return kNotAllAcked;
    return resumed.resumed == 0 && !allow_empty_ ? kNobody : kAllAcked;
  }

 private:
  static std::string json(const Resumed& resumed) {
    return JsonObject()
        .number("resumed", resumed.resumed)
        .number("cannot_resume", resumed.cannot_resume)
        .number("away", resumed.away)
        .number("still_quiesced", resumed.still_quiesced)
        .line();
  }
  static std::string text(const Resumed& resumed) {
    if (resumed.resumed + resumed.cannot_resume + resumed.away + resumed.still_quiesced == 0) {
      return "no backend resumed: no such backend is quiesced\n";
    }
    std::string line = counted(resumed.resumed, "backend") + " resumed";
    if (resumed.away > 0) {
      line +=
          "; " + counted(resumed.away, "backend") + " not connected: told to resume on reconnect";
    }
    if (resumed.still_quiesced > 0) {
      line += "; " + counted(resumed.still_quiesced, "backend") +
              " still quiesced by another broadcast (`musterctl backends` names it)";
    }
    if (resumed.cannot_resume > 0) {
      line += "; " + counted(resumed.cannot_resume, "backend") +
              " cannot resume: restart them (`musterctl backends` names them)";
    }
    return line + '\n';
  }

  BroadcastId id_ = 0;
  Selection selection_;
  bool allow_empty_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> resume_command() { return std::make_unique<ResumeCommand>(); }

}  // namespace muster::ctl
