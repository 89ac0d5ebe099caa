#include "ctl/absolute_path.h"
#include "ctl/broadcast_run.h"
#include "ctl/command.h"

namespace muster::ctl {
namespace {

class ReleaseHandlesCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "release-handles"; }
  [[nodiscard]] std::string summary() const override {
    return "Ask every backend to let go of all files below a path";
  }

  void declare(Options& options) override {
    options.argument("PATH", "The directory or file; a relative one is taken from here", true,
                     [this](const std::string& text) {
                       std::string problem;
                       path_ = make_absolute(text, problem);
                       return problem;
                     });
    options_.declare(options);
    options.epilogue(
        "Backends close what they have open at PATH or below it, by whole components: /mnt/a\n"
        "covers /mnt/a/x, never /mnt/ab. Every backend gets the request at the same time and has\n"
        "its own time to answer. Links are not followed: give the path that backends use.\n"
        "\n"
        "Examples:\n"
        "  musterctl release-handles /var/cache/x && rm -r /var/cache/x\n"
        "  musterctl release-handles --timeout 30s --select 'service=zcc*,label.tier=hot' /mnt/a\n"
        "  musterctl release-handles --json . | jq '.result.timeouts'\n"
        "  id=$(musterctl release-handles --detach /mnt/a); musterctl result --wait $id\n");
  }

  int run(const Invocation& invocation) override {
    return run_broadcast(invocation, options_, BroadcastOperation::release_handles(path_));
  }

 private:
  std::string path_;
  BroadcastOptions options_;
};

}  // namespace

std::unique_ptr<Command> release_handles_command() {
  return std::make_unique<ReleaseHandlesCommand>();
}

}  // namespace muster::ctl
