// The command `umount`: releases what is below a mount point, holds it so, and unmounts it; says
// who has it in use where the kernel says that it is busy.
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <sys/mount.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "muster/control.h"
#include "muster/json.h"
#include "muster/text.h"

#include "musterctl/broadcast_run.h"
#include "musterctl/hold_lease.h"
#include "musterctl/holder_look.h"
#include "musterctl/holders_text.h"
#include "musterctl/program.h"
#include "musterctl/report_text.h"
#include "musterctl/resolve_path.h"
#include "os/error_text.h"
#include "os/holders/mount_table.h"
#include "os/holders/scan.h"

namespace muster::ctl {
namespace {

constexpr std::chrono::milliseconds kReleaseWait{5'000};

std::vector<os::Mount> own_mounts() {
  std::ifstream file("/proc/self/mountinfo");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return os::parse_mountinfo(text);
}

class UmountCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "umount"; }
  [[nodiscard]] std::string summary() const override {
    return "Release all files below a mount point and unmount it, or show who has it in use";
  }

  void declare(Options& options) override {
    options.argument("MOUNTPOINT", "Where it is mounted", true, [this](const std::string& text) {
      std::string problem;
      static_cast<void>(absolute_path(text, problem));
      path_ = text;
      return problem;
    });
    options.duration(
        "--timeout",
        "Time each backend has to answer. Default: the backend's own timeout, else the "
        "broker's",
        options_.timeout);
    options.duration("--wait",
                     "Look again until nobody has files in use, at most so long. Default: 5s",
                     options_.wait);
    declare_quiet(options, options_.quiet);
    options.epilogue(
        "Backends release what is below MOUNTPOINT and keep away from it meanwhile. It is "
        "unmounted\n"
        "if the kernel agrees, whatever backends say; it is never unmounted lazily or by force.\n"
        "\n"
        "Exit status: 0 unmounted, and nobody has its file system in use; 6 it is busy, and the "
        "output\n"
        "says who has it in use and what would end that; or it is unmounted here, and others may "
        "have\n"
        "the file system in use (another mount namespace has it mounted, or not everything could "
        "be\n"
        "seen); 4 the kernel or the broker refused.\n"
        "\n"
        "Examples:\n"
        "  musterctl umount /mnt/backup\n");
  }

  int run(const Invocation& to) override {
    ResolvedPath resolved = resolve_path(path_);
    if (!resolved.problem.empty()) throw UsageError(resolved.problem);
    path_ = resolved.path;
    check_mount_point();
    ControlClient client = make_client(to, false);
    options_.verify = true;
    if (!options_.wait) options_.wait = kReleaseWait;
    BroadcastRequest request = options_.request(
        BroadcastOperation::release_handles(resolved.path, std::move(resolved.alias)));
    request.hold = HoldRequest{true, {}};
    HowFar far;
    int signal = 0;
    const auto report =
        follow_broadcast(to, client, request, options_.quiet || to.common.json, far, [&] {
          signal = to.interrupted();
          return signal == 0;
        });
    if (!report) return stopped_waiting(to, far, signal);
    if (!report->hold) {
      report_error(to.console, to.common.json, "REFUSED", kNoHolds);
      return kRefused;
    }
    // Its own working directory must not keep it busy.
    static_cast<void>(::chdir("/"));
    std::optional<HolderScan> scan;
    int error = unmount();
    if (error == EBUSY) scan = look(client);
    // No holder was found: it may be free by now.
    if (scan && scan->verdict == HolderVerdict::kClear) {
      error = unmount();
      scan = error == EBUSY ? std::optional(look_again(client)) : std::nullopt;
    }
    say(to, *report, error, scan);
    HoldLease lease(to, std::move(client),
                    {{report->broadcast_id, report->result.operation, true}});
    lease.end([&to] { return to.interrupted() == 0; });
    if (error != 0) return error == EBUSY ? kStillHeld : kRefused;
    return is_clear(*report) ? kAllAcked : kStillHeld;
  }

 private:
  void check_mount_point() const {
    const std::vector<os::Mount> mounts = own_mounts();
    const auto is_it = [&](const os::Mount& one) { return one.point == path_; };
    if (std::none_of(mounts.begin(), mounts.end(), is_it)) {
      throw UsageError("nothing is mounted at " + quote_if_needed(path_) +
                       ": no backend was asked");
    }
    for (const os::Mount& one : mounts) {
      const auto rest = os::below(path_, one.point);
      if (rest && !rest->empty()) {
        throw UsageError("another file system is mounted below, at " + quote_if_needed(one.point) +
                         ": unmount it first; no backend was asked");
      }
    }
  }

  [[nodiscard]] int unmount() const {
    return ::umount2(path_.c_str(), UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
  }

  // The broker's scan and one of its own: the broker leaves out this process and its children,
  // which keep a mount busy, too.
  [[nodiscard]] HolderScan look(ControlClient& client) const {
    std::vector<HolderScan> own{os::scan_holders(path_)};
    name_backends(client, own);
    HolderScan scan;
    try {
      scan = look_by_broker(client, path_);
    } catch (const ControlFailure& failure) {
      scan.problem = failure.error().message;
    }
    if (!scan.problem.empty()) return std::move(own.front());
    for (Holder& one : own.front().holders) {
      const bool is_listed =
          std::any_of(scan.holders.begin(), scan.holders.end(),
                      [&](const Holder& known) { return is_same_holder(known, one); });
      if (is_listed) continue;
      if (!one.possibly) scan.verdict = HolderVerdict::kHeld;
      if (one.possibly && scan.verdict == HolderVerdict::kClear) {
        scan.verdict = HolderVerdict::kUnknown;
      }
      scan.holders.push_back(std::move(one));
    }
    return scan;
  }

  // The kernel says that it is busy: "clear" is no answer to that.
  [[nodiscard]] HolderScan look_again(ControlClient& client) const {
    HolderScan scan = look(client);
    if (scan.verdict != HolderVerdict::kClear) return scan;
    scan.verdict = HolderVerdict::kUnknown;
    Unseen unseen;
    unseen.what = "the kernel says that it is busy: it is held by something that was not seen";
    scan.unseen.push_back(std::move(unseen));
    return scan;
  }

  void say(const Invocation& to, const BroadcastReport& report, int error,
           const std::optional<HolderScan>& scan) const {
    if (options_.quiet) return;
    if (to.common.json) {
      JsonObject object;
      object.boolean("unmounted", error == 0);
      if (error != 0) object.text("error", os::error_text(error));
      object.raw("report", to_json(report));
      if (scan) object.raw("holders", to_json(*scan));
      return to.console.out(object.line());
    }
    const std::string path = quote_if_needed(path_);
    if (error == 0 && is_clear(report)) {
      return to.console.out("Unmounted: " + path + ".\n");
    }
    BroadcastReport shown_now = report;
    shown_now.hold.reset();  // it ends with this command
    if (scan) {              // which says it better
      shown_now.verification.reset();
      shown_now.verify = false;
    }
    ReportStyle style;
    style.paint = Paint(to.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    to.console.out(show_report(shown_now, {}, style));
    if (scan) {
      HoldersStyle rows;
      rows.paint = style.paint;
      to.console.out(show_holders(*scan, rows));
    }
    to.console.out(error == 0
                       ? "Unmounted: " + path + ". Others may still have the file system in use.\n"
                       : "Not unmounted: " + path + ": " + os::error_text(error) + ".\n");
  }

  std::string path_;
  BroadcastOptions options_;
};

}  // namespace

std::unique_ptr<Command> umount_command() { return std::make_unique<UmountCommand>(); }

}  // namespace muster::ctl
