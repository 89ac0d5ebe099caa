#include "muster/control.h"
#include "muster/json.h"

#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/exit_status.h"
#include "musterctl/text.h"
#include "musterctl/view_text.h"

namespace muster::ctl {
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

}  // namespace muster::ctl
