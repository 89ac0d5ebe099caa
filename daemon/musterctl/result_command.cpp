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
    return "Show what became of a broadcast, or how far it is";
  }

  void declare(Options& options) override {
    options.argument("ID", "The broadcast; \"last\" or nothing: the newest", false,
                     [this](const std::string& text) {
                       return text == "last" ? std::string() : read_broadcast_id(text, id_);
                     });
    options.flag("--wait", "If it still runs, wait for its end", wait_);
    options.flag("--allow-empty", "Nobody to ask is a success (exit status 0, not 5)",
                 allow_empty_);
    options.flag("-v,--verbose", "Name the backends that acked, too, and how long each took",
                 verbose_);
    declare_quiet(options, quiet_);
    options.epilogue(
        "The exit status is the broadcast's own; 1 while it still runs. Answers that came too "
        "late\n"
        "are listed, they change nothing.\n"
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
