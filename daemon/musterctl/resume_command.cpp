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

class ResumeCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "resume"; }
  [[nodiscard]] std::string summary() const override {
    return "End quiesces: backends may take work again";
  }

  void declare(Options& options) override {
    options.argument("ID", "The broadcast that quiesced them. Default: any", false,
                     [this](const std::string& text) { return read_broadcast_id(text, id_); });
    declare_select(options, selection_);
    options.flag("--allow-empty", "Exit with status 0, not 5, if there is no backend to resume",
                 allow_empty_);
    declare_quiet(options, quiet_);
    options.exclude("--select", "ID");
    options.epilogue(
        "Without ID and --select every quiesced backend resumes. The exit status is 1 if one\n"
        "cannot resume: it declared at registration that it must be restarted.\n"
        "\n"
        "Examples:\n"
        "  musterctl resume\n"
        "  musterctl resume 17\n"
        "  musterctl resume --select service=zccache\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, !quiet_);
    const Resumed resumed = client.resume(id_, selection_);
    if (!quiet_) invocation.console.out(invocation.common.json ? json(resumed) : text(resumed));
    if (resumed.cannot_resume > 0) return kNotAllAcked;
    return resumed.resumed == 0 && !allow_empty_ ? kNobody : kAllAcked;
  }

 private:
  static std::string json(const Resumed& resumed) {
    return JsonObject()
        .number("resumed", resumed.resumed)
        .number("cannot_resume", resumed.cannot_resume)
        .line();
  }
  static std::string text(const Resumed& resumed) {
    std::string line = resumed.resumed == 0 && resumed.cannot_resume == 0
                           ? "no backend resumed: no such backend is quiesced"
                           : counted(resumed.resumed, "backend") + " resumed";
    if (resumed.cannot_resume > 0) {
      line += "; " + counted(resumed.cannot_resume, "backend") +
              " cannot resume: restart them (`musterctl backends` names them)";
    }
    return line + '\n';
  }

  BroadcastId id_ = 0;
  Selection selection_;
  bool allow_empty_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> resume_command() { return std::make_unique<ResumeCommand>(); }

}  // namespace muster::ctl
