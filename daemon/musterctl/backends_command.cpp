#include "muster/control.h"
#include "muster/json.h"

#include "musterctl/broadcast_options.h"
#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/exit_status.h"
#include "musterctl/text.h"
#include "musterctl/view_text.h"

namespace muster::ctl {
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

}  // namespace muster::ctl
