#include "muster/control.h"
#include "muster/json.h"

#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/event_text.h"
#include "musterctl/exit_status.h"
#include "musterctl/user_names.h"

namespace muster::ctl {
namespace {

class WatchCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "watch"; }
  [[nodiscard]] std::string summary() const override {
    return "Print the broker's events until Ctrl-C";
  }

  void declare(Options& options) override {
    options.epilogue(
        "One line an event: registrations, deaths, refusals, broadcasts and every answer. With\n"
        "--json one object a line. A reader that is too slow loses events; a line says how many.\n"
        "\n"
        "Examples:\n"
        "  musterctl watch\n"
        "  musterctl watch --json | jq 'select(.kind == \"BACKEND_DEAD\")'\n");
  }

  int run(const Invocation& invocation) override {
    if (invocation.console.out_is_closed()) return kOutputLost;
    ControlClient client = make_client(invocation, true);
    const UserName user = user_names_of_system();
    int signal = 0;
    bool said = invocation.common.json;
    client.watch(
        [&](const Event& event) {
          invocation.console.out(invocation.common.json ? to_json(event) + '\n'
                                                        : show_watched_event(event, user));
        },
        [&] {
          // Else nothing would say that it has begun, and that what is missing did not happen.
          if (!said) invocation.console.progress("watching; Ctrl-C ends it\n");
          said = true;
          signal = invocation.interrupted();
          return signal == 0 && !invocation.console.out_failed() &&
                 !invocation.console.out_reader_gone();
        });
    return signal == 0 ? kOutputLost : kSignalled + signal;
  }
};

}  // namespace

std::unique_ptr<Command> watch_command() { return std::make_unique<WatchCommand>(); }

}  // namespace muster::ctl
