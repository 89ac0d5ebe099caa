#include "muster/control.h"

#include "musterctl/broadcast_id.h"
#include "musterctl/broadcast_options.h"
#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/exit_status.h"
#include "musterctl/json_object.h"
#include "musterctl/text.h"

namespace muster::ctl {
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

}  // namespace muster::ctl
