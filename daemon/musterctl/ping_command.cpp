#include "muster/control.h"
#include "muster/path.h"

#include "musterctl/broadcast_options.h"
#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/duration.h"
#include "musterctl/exit_status.h"
#include "musterctl/json_object.h"

namespace muster::ctl {
namespace {

class PingCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "ping"; }
  [[nodiscard]] std::string summary() const override {
    return "Check whether the broker answers, and how fast";
  }

  void declare(Options& options) override {
    options.duration("--timeout", "Time to wait for the answer. Default: 10s", timeout_);
    declare_quiet(options, quiet_);
    options.epilogue(
        "Examples:\n"
        "  musterctl ping\n"
        "  musterctl ping --quiet --timeout 1s || echo no broker\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client =
        make_client(invocation, !quiet_, timeout_.value_or(ControlClient::kPatience));
    const PingReply reply = client.ping();
    if (quiet_) return kAllAcked;
    if (invocation.common.json) {
      const std::string ms = std::to_string(static_cast<double>(reply.round_trip.count()) / 1'000);
      invocation.console.out(JsonObject()
                                 .text("broker_version", reply.broker_version)
                                 .number("pid", reply.broker_pid)
                                 .raw("round_trip_ms", ms)
                                 .line());
    } else {
      invocation.console.out("musterd " + escape_bytes(reply.broker_version) + " (pid " +
                             std::to_string(reply.broker_pid) + ") answered in " +
                             show_measured(reply.round_trip) + '\n');
    }
    return kAllAcked;
  }

 private:
  std::optional<std::chrono::milliseconds> timeout_;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> ping_command() { return std::make_unique<PingCommand>(); }

}  // namespace muster::ctl
