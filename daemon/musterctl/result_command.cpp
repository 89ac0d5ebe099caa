#include "musterctl/broadcast_id.h"
#include "musterctl/broadcast_run.h"
#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/exit_status.h"

namespace muster::ctl {
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
        "The exit status is that of the broadcast; 1 while it runs. Late answers are listed and\n"
        "change nothing.\n"
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

}  // namespace muster::ctl
