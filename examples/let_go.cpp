// muster-let-go SERVICE PID_FILE SIGNAL [SECONDS]
//
// A backend on behalf of a daemon that knows nothing of Muster. When files are to be let go that
// the daemon has open, it sends the signal upon which the daemon opens its files anew (nginx: USR1
// for its logs, HUP for what it serves; rsyslog: HUP), and acknowledges once none of them is open
// any more. The daemon does its part some time after the signal, so the signal alone proves
// nothing. After SECONDS (3) it fails, and names a file that is still open.
//
// A PID_FILE that cannot be read is a failure: what it cannot look at it does not acknowledge.
//
// What it looks at are the descriptors of the daemon's main process and of that one's children;
// `--verify` asks the kernel about all the rest. It cannot keep the daemon from opening such a file
// again during a hold: the broker reports that as a violation.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <muster/backend.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// 0: it does not run.
pid_t main_process(const std::string& pid_file) {
  pid_t pid = 0;
  if (!(std::ifstream(pid_file) >> pid) || pid <= 0)
    throw std::runtime_error("cannot read a pid from " + pid_file + ": does the daemon run?");
  return fs::exists("/proc/" + std::to_string(pid)) ? pid : 0;
}

bool is_gone(std::error_code error) {
  return error == std::errc::no_such_file_or_directory || error == std::errc::no_such_process;
}

// What the daemon has open of what is to be let go, one sentence each. Throws when it cannot look.
std::vector<std::string> open_files(pid_t main, const muster::Request& request) {
  std::vector<std::string> found;
  const std::string process = "/proc/" + std::to_string(main);
  std::vector<std::string> pids{std::to_string(main)};
  for (const auto& thread : fs::directory_iterator(process + "/task")) {
    std::ifstream children(thread.path() / "children");
    if (!children && fs::exists(thread.path()))
      throw std::runtime_error("cannot see the children of process " + pids.front());
    std::copy(std::istream_iterator<std::string>(children), {}, std::back_inserter(pids));
  }
  for (const std::string& pid : pids) {
    std::error_code gone;  // one that exits meanwhile, or closes the file
    const fs::path directory = "/proc/" + pid + "/fd";
    fs::directory_iterator entry(directory, gone);
    if (gone && !is_gone(gone)) throw fs::filesystem_error("cannot look", directory, gone);
    for (; !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
      std::error_code closed;
      std::string path = fs::read_symlink(entry->path(), closed).string();
      if (closed && !is_gone(closed))
        throw fs::filesystem_error("cannot look", entry->path(), closed);
      const std::string deleted = " (deleted)";
      if (path.ends_with(deleted)) path.resize(path.size() - deleted.size());
      if (!closed && request.covers(path))
        found.push_back("process " + pid + " has " + path + " open");
    }
    if (gone && !is_gone(gone)) throw fs::filesystem_error("cannot look", directory, gone);
  }
  return found;
}

void let_go(muster::Request& request, const std::string& pid_file, int signal,
            std::chrono::seconds patience) {
  const pid_t daemon = main_process(pid_file);
  if (daemon == 0) return request.released(0);  // it does not run: it has nothing open
  std::vector<std::string> open = open_files(daemon, request);
  request.released(open.size());
  if (open.empty()) return;
  if (::kill(daemon, signal) != 0) return request.fail("cannot send the signal");
  if (request.deadline() < std::chrono::system_clock::now() + patience) {
    request.working(patience + std::chrono::seconds(1), "waiting: " + open.front());
  }
  for (const auto end = Clock::now() + patience; !(open = open_files(daemon, request)).empty();) {
    if (Clock::now() > end || request.cancelled()) return request.fail("still: " + open.front());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, int> signals{{"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}};
  if (argc < 4 || argc > 5 || !signals.contains(argv[3])) {
    std::cerr << "usage: muster-let-go SERVICE PID_FILE HUP|USR1|USR2 [SECONDS]" << std::endl;
    return 2;
  }
  sigset_t stop{};
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  const std::string pid_file = argv[2];
  const int signal = signals.at(argv[3]);
  const std::chrono::seconds patience(argc == 5 ? std::stoi(argv[4]) : 3);
  muster::BackendOptions options;
  options.key.service_name = argv[1];
  options.key.service_version = "1.0.0";
  muster::Backend backend(std::move(options));
  backend.on_release_handles([&](muster::Request& request) {
    let_go(request, pid_file, signal, patience);  // returning acknowledges
  });
  backend.start();
  int ended = 0;
  sigwait(&stop, &ended);
}
