#include "musterctl/broadcast_run.h"
#include "musterctl/command.h"

namespace muster::ctl {
namespace {

class QuiesceCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "quiesce"; }
  [[nodiscard]] std::string summary() const override {
    return "Ask every backend to take no more work and drain";
  }

  void declare(Options& options) override {
    options_.declare(options);
    options.epilogue(
        "The reason that backends are given is maintenance.\n"
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

 private:
  BroadcastOptions options_;
};

}  // namespace

std::unique_ptr<Command> quiesce_command() { return std::make_unique<QuiesceCommand>(); }

}  // namespace muster::ctl
