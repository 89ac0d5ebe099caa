// The command `holders`: who has files below a path in use, whatever they know of Muster.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "muster/json.h"
#include "muster/text.h"

#include "musterctl/holder_look.h"
#include "musterctl/holders_text.h"
#include "musterctl/program.h"
#include "musterctl/resolve_path.h"
#include "os/holders/scan.h"

namespace muster::ctl {
namespace {

constexpr std::chrono::seconds kBetweenLooks{1};
constexpr std::chrono::milliseconds kStep{50};  // how soon a signal is noticed
// Without a broker it works, too: one that does not answer must not keep an operator from the rest.
constexpr std::chrono::milliseconds kBrokerPatience{2'000};

HolderVerdict worst(const std::vector<HolderScan>& scans) {
  const auto has = [&](HolderVerdict verdict) {
    return std::any_of(scans.begin(), scans.end(),
                       [&](const HolderScan& one) { return one.verdict == verdict; });
  };
  if (has(HolderVerdict::kHeld)) return HolderVerdict::kHeld;
  return has(HolderVerdict::kUnknown) ? HolderVerdict::kUnknown : HolderVerdict::kClear;
}

class HoldersCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "holders"; }
  [[nodiscard]] std::string summary() const override {
    return "Show who has files below a path in use, and what would end it";
  }

  void declare(Options& options) override {
    declare_paths(options, paths_);
    options.flag(
        "--as-written",
        "Do not resolve PATH: for a file system that does not answer. PATH must be without "
        "symbolic links then",
        as_written_);
    options.flag("--watch", "Look again each second until nobody has a file in use, or Ctrl-C",
                 watch_);
    options.epilogue(
        "Looks at every process of the host and at the kernel itself: open files (deleted ones "
        "and\n"
        "those seen through other mounts, containers and chroots included), mapped files, running\n"
        "programs, working and root directories, files registered with an io_uring, bound Unix\n"
        "sockets, descriptors on their way between processes; loop devices, swap files, overlay\n"
        "layers, mounts of other namespaces and NFS exports. Then the kernel is asked for each\n"
        "regular file whether anybody has it open: \"proven free\" if not.\n"
        "Root sees everything. For others the broker looks, where policy lets them \"inspect\" "
        "and\n"
        "muster-scan is installed; else it is done with their own rights, which cannot see into "
        "the\n"
        "processes of other users.\n"
        "Nothing is opened on file systems that may wait for a server. It ends no process.\n"
        "\n"
        "Exit status: 0 clear: everything could be seen, and nobody was found; 6 held, or "
        "unknown:\n"
        "something could not be seen. With --watch 0, when it is clear.\n"
        "\n"
        "Examples:\n"
        "  musterctl holders /var/cache/x\n"
        "  musterctl holders --watch /mnt/backup && umount /mnt/backup\n"
        "  musterctl holders --json /mnt | jq '.scans[].holders[] | {pid, command, example}'\n");
  }

  int run(const Invocation& invocation) override {
    if (invocation.console.out_is_closed()) return kOutputLost;
    std::vector<std::string> resolved;
    for (const std::string& path : paths_) {
      ResolvedPath one = as_written_ ? path_as_written(path) : resolve_path(path);
      if (!one.problem.empty()) throw UsageError(one.problem);
      for (const std::string& warning : one.warnings) {
        invocation.console.err("musterctl: " + warning + '\n');
      }
      resolved.push_back(std::move(one.path));
    }
    std::string before;
    for (;;) {
      std::vector<HolderScan> scans;
      try {
        scans = look(invocation, resolved);
      } catch (const ControlFailure& failure) {
        const int signal = invocation.interrupted();
        if (failure.kind() != ControlFailure::Kind::kStopped || signal == 0) throw;
        return kSignalled + signal;
      }
      const bool clear = worst(scans) == HolderVerdict::kClear;
      std::string text = invocation.common.json ? json_of(scans) : text_of(invocation, scans);
      if (!watch_ || invocation.common.json || text != before) invocation.console.out(text);
      before = std::move(text);
      if (clear) return kAllAcked;
      if (!watch_) return kStillHeld;
      if (const int status = wait(invocation); status != 0) return status;
    }
  }

 private:
  std::vector<HolderScan> look(const Invocation& invocation,
                               const std::vector<std::string>& paths) {
    std::vector<HolderScan> scans;
    std::string why_not;  // the broker's rights were not to be had
    for (const std::string& path : paths) {
      std::optional<HolderScan> scan;
      if (::geteuid() != 0) scan = ask_broker(invocation, path, why_not);
      if (!scan) {
        os::ScanBounds bounds;
        bounds.without_self = true;  // its working directory goes with it
        scan = os::scan_holders(path, bounds);
      }
      scans.push_back(std::move(*scan));
    }
    if (!why_not.empty() && why_not != said_why_not_ && worst(scans) != HolderVerdict::kClear) {
      said_why_not_ = why_not;
      invocation.console.err("musterctl: looked with the rights of this user alone: " +
                             escape_controls(why_not) + '\n');
    }
    const bool any = std::any_of(scans.begin(), scans.end(),
                                 [](const HolderScan& one) { return !one.holders.empty(); });
    if (!any) return scans;
    try {
      ControlClient client = make_client(invocation, false, kBrokerPatience);
      name_backends(client, scans);
    } catch (const ControlFailure&) {  // NOLINT(bugprone-empty-catch): without a broker, no names
    }
    return scans;
  }

  // Nothing, with a sentence where there is one to tell, when it is to be done without the broker.
  static std::optional<HolderScan> ask_broker(const Invocation& invocation, const std::string& path,
                                              std::string& why_not) {
    try {
      ControlClient client = make_client(invocation, false, kBrokerPatience);
      client.while_waiting(
          [&] { return invocation.interrupted() == 0 && !invocation.console.out_reader_gone(); });
      HolderScan scan = client.holders(path, os::own_mount_namespace());
      if (scan.problem.empty()) return scan;
      why_not = scan.problem;
    } catch (const ControlFailure& failure) {
      if (failure.kind() == ControlFailure::Kind::kStopped) throw;
      if (failure.kind() == ControlFailure::Kind::kRefused) why_not = failure.error().message;
    }
    return std::nullopt;
  }

  static std::string json_of(const std::vector<HolderScan>& scans) {
    std::string list;
    for (const HolderScan& scan : scans) {
      if (!list.empty()) list += ',';
      list += to_json(scan);
    }
    return JsonObject()
        .text("verdict", to_string(worst(scans)))
        .raw("scans", '[' + list + ']')
        .line();
  }

  static std::string text_of(const Invocation& invocation, const std::vector<HolderScan>& scans) {
    HoldersStyle style;
    style.paint = Paint(invocation.console.out_has_colour());
    std::string text;
    for (const HolderScan& scan : scans) text += show_holders(scan, style);
    return text;
  }

  // Until the next look. The exit status when there is none.
  static int wait(const Invocation& invocation) {
    const auto until = std::chrono::steady_clock::now() + kBetweenLooks;
    while (std::chrono::steady_clock::now() < until) {
      if (const int signal = invocation.interrupted(); signal != 0) return kSignalled + signal;
      if (invocation.console.out_failed() || invocation.console.out_reader_gone()) {
        return kOutputLost;
      }
      std::this_thread::sleep_for(kStep);
    }
    return 0;
  }

  std::vector<std::string> paths_;
  bool as_written_ = false;
  bool watch_ = false;
  std::string said_why_not_;  // once, however often it looks
};

}  // namespace

std::unique_ptr<Command> holders_command() { return std::make_unique<HoldersCommand>(); }

}  // namespace muster::ctl
