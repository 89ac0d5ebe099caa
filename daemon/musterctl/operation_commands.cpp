// The operations that can be asked for, a command each. Adding one: a class here.
#include <stdexcept>

#include "model/operation_table.h"
#include "musterctl/broadcast_run.h"
#include "musterctl/command.h"
#include "musterctl/resolve_path.h"

namespace muster::ctl {
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
    options.epilogue(
        "Backends close what they have open at PATH or below it, by whole components: /mnt/a\n"
        "covers /mnt/a/x, never /mnt/ab. Every backend gets the request at the same time and has\n"
        "its own time to answer. Symbolic links in PATH are resolved; backends get the resolved\n"
        "path and the spelling that was given.\n"
        "A PATH that does not exist is sent all the same, with a warning.\n"
        "\n"
        "Examples:\n"
        "  musterctl release-handles /var/cache/x && rm -r /var/cache/x\n"
        "  musterctl release-handles --timeout 30s --select 'service=zcc*,label.tier=hot' /mnt/a\n"
        "  musterctl release-handles --json . | jq '.result.timeouts'\n"
        "  id=$(musterctl release-handles --detach /mnt/a); musterctl result --wait $id\n");
  }

  int run(const Invocation& invocation) override {
    ResolvedPath resolved = resolve_path(path_);
    return run_broadcast(
        invocation, options_,
        BroadcastOperation::release_handles(std::move(resolved.path), std::move(resolved.alias)),
        resolved.warnings);
  }

 private:
  std::string path_;  // as it was written
};

class QuiesceCommand : public OperationCommand {
 public:
  using OperationCommand::OperationCommand;

  [[nodiscard]] std::string summary() const override {
    return "Ask every backend to take no more work and drain";
  }

  void declare(Options& options) override {
    options_.declare(options);
    options.epilogue(
        "The backends get the reason \"maintenance\".\n"
        "\n"
        "Examples:\n"
        "  musterctl quiesce --timeout 1m\n"
        "  musterctl quiesce --select service=zccache --select 'instance=private:*'\n"
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
    case OperationKind::kUnknown:
      break;
  }
  throw std::logic_error("an operation without a command");
}

}  // namespace

std::vector<std::unique_ptr<Command>> operation_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  for (const OperationRow& row : all_operations()) commands.push_back(command_of(row));
  return commands;
}

}  // namespace muster::ctl
