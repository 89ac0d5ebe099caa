// muster-scan: the one part of Muster that may look into every process. The service manager starts
// it when the broker asks (muster-scan.socket), and it ends when nobody asks any more.
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include <systemd/sd-daemon.h>

#include "muster-scan/scan_service.h"
#include "os/process_setup.h"

namespace {

constexpr int kServed = 0;
constexpr int kCannotRun = 1;
constexpr int kUsage = 2;

constexpr char kHelp[] =
    "muster-scan: looks for holders of files, for the broker alone.\n"
    "\n"
    "The service manager starts it with a listening socket (muster-scan.socket); it takes no\n"
    "options. Without a question for 30 s it ends. To look by hand: musterctl holders PATH.\n"
    "\n"
    "Exit status: 0 nobody asked any more, 1 it cannot run, 2 wrong use.\n";

}  // namespace

int main(int argc, char** argv) {
  muster::os::take_over_process(muster::os::ProgramKind::kDaemon);
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::fputs(kHelp, stdout);
    return std::fflush(stdout) == 0 ? kServed : kCannotRun;
  }
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::puts("muster-scan " MUSTER_VERSION);
    return std::fflush(stdout) == 0 ? kServed : kCannotRun;
  }
  if (argc > 1) {
    std::fprintf(stderr, "muster-scan takes no options: see muster-scan --help\n");
    return kUsage;
  }
  if (::sd_listen_fds(1) != 1) {
    std::fprintf(stderr,
                 "muster-scan was not given one listening socket: start muster-scan.socket\n");
    return kUsage;
  }
  muster::os::leave_working_directory();
  const auto log = [](const std::string& sentence) {
    std::fprintf(stderr, "%s\n", sentence.c_str());
  };
  try {
    return muster::scan::serve(SD_LISTEN_FDS_START, {}, log) ? kServed : kCannotRun;
  } catch (const std::exception& error) {
    log(std::string("muster-scan failed: ") + error.what());
    return kCannotRun;
  }
}
