// musterd does not depend on what it inherits: each row starts it in another state, has it serve an
// operator, and stops it.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sanitized.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

struct Inherited {
  const char* name;
  std::function<bool()> before_exec = {};  // in the child: only what is safe after fork()
  std::vector<std::pair<std::string, std::string>> environment = {};
};

bool block_all() {
  sigset_t all;
  ::sigfillset(&all);
  return ::sigprocmask(SIG_SETMASK, &all, nullptr) == 0;
}

bool block(int signal) {
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, signal);
  return ::sigprocmask(SIG_SETMASK, &one, nullptr) == 0;
}

bool ignore_all() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_IGN);
  return true;
}

bool limit_soft(int what, rlim_t soft) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(what), &limit) != 0) return false;
  limit.rlim_cur = std::min(soft, limit.rlim_max);
  return ::setrlimit(static_cast<__rlimit_resource>(what), &limit) == 0;
}

bool in_a_directory_that_is_gone() {
  char name[] = "/tmp/musterXXXXXX";
  return ::mkdtemp(name) != nullptr && ::chdir(name) == 0 && ::rmdir(name) == 0;
}

const std::vector<Inherited>& conditions() {
  static const std::vector<Inherited> kConditions = {
      {"SIGTERM is blocked", [] { return block(SIGTERM); }},
      {"all signals are blocked", block_all},
      {"all signals are ignored", ignore_all},
      {"SIGTERM, SIGINT and SIGHUP are ignored",
       [] {
         for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_IGN);
         return true;
       }},
      {"SIGCHLD is ignored", [] { return ::signal(SIGCHLD, SIG_IGN) != SIG_ERR; }},
      {"umask 0777", [] { return ::umask(0777), true; }},
      {"umask 0", [] { return ::umask(0), true; }},
      {"16 descriptors", [] { return limit_soft(RLIMIT_NOFILE, 16); }},
      {"no file may grow", [] { return limit_soft(RLIMIT_FSIZE, 0); }},
      {"no core", [] { return limit_soft(RLIMIT_CORE, 0); }},
      {"64 KiB of stack", [] { return limit_soft(RLIMIT_STACK, 65'536); }},
      {"any amount of stack", [] { return limit_soft(RLIMIT_STACK, RLIM_INFINITY); }},
      {"another locale", {}, {{"LC_ALL", "tr_TR.UTF-8"}, {"LANG", "de_DE.UTF-8"}}},
      {"an odd time zone", {}, {{"TZ", ":../../x"}}},
      {"no home, odd allocator",
       {},
       {{"HOME", ""}, {"MALLOC_ARENA_MAX", "x"}, {"MALLOC_PERTURB_", "165"}}},
      {"a service manager that is not there",
       {},
       {{"NOTIFY_SOCKET", "/nowhere/x"}, {"WATCHDOG_USEC", "soon"}, {"WATCHDOG_PID", "x"}}},
      {"a notify socket that is no address", {}, {{"NOTIFY_SOCKET", "rubbish"}}},
      {"sockets of another process", {}, {{"LISTEN_PID", "1"}, {"LISTEN_FDS", "2"}}},
      {"a directory that is gone", in_a_directory_that_is_gone},
      {"descriptors of its starter",
       [] {
         const int fd = ::open("/etc/passwd", O_RDONLY);
         return ::dup2(fd, 5) == 5 && ::dup2(fd, 200) == 200;
       }},
      {"no standard descriptors but the log's", [] { return ::close(0) == 0 && ::close(1) == 0; }},
  };
  return kConditions;
}

std::string mode_of(const struct stat& file) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%o", static_cast<unsigned>(file.st_mode & 07777U));
  return text.data();
}

class InheritedStateTest : public MusterdTest {
 protected:
  // "s 755, s/backend.sock 666 ...": what is in the directory, with modes.
  [[nodiscard]] std::string modes() const {
    std::string text;
    for (const char* name : {"s", "s/backend.sock", "s/control.sock"}) {
      struct stat found {};
      if (::lstat((dir_ / name).c_str(), &found) != 0) return text + name + " is not there";
      text += std::string(name) + ' ' + mode_of(found) + ' ';
    }
    // In the order of their names; what is written later (policy, history) may not be there yet.
    std::set<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(state())) {
      const std::string name = entry.path().filename().native();
      if (!name.starts_with("policy") && !name.starts_with("history.db")) {
        files.insert(entry.path());
      }
    }
    for (const auto& path : files) {
      struct stat found {};
      ::lstat(path.c_str(), &found);
      text += path.filename().native() + ' ' + mode_of(found) + ' ';
    }
    return text;
  }
  [[nodiscard]] std::filesystem::path state() const { return dir_ / "state" / "of" / "musterd"; }

  // What became of a musterd that started so, served an operator and was told to stop.
  std::string served(const Inherited& inherited) {
    ProcessOptions options = with_environment(inherited.environment);
    options.before_exec = inherited.before_exec;
    const auto config =
        write("musterd.toml", "[sockets]\nbackend_mode = \"0666\"\ncontrol_mode = \"0660\"\n");
    Process broker(command({"--state-dir", state().native(), "--config", config.native()}),
                   options);
    broker.wait_for("listening");
    std::string text = ping() == broker.pid() ? "pong, " : "no pong, ";
    TestBackend backend = join("a");
    struct stat found {};
    ::stat(state().c_str(), &found);
    text += "state " + mode_of(found) + ", " + modes();
    text += what_it_holds(broker.pid());
    broker.signal(SIGTERM);
    (void)backend.hears();
    backend.acks(std::get<OutgoingOperation>(backend.last().message).broadcast_id);
    text += "status " + std::to_string(broker.finish().status);
    std::filesystem::remove_all(state());
    return text;
  }
  // Its working directory and the files of /etc that it has open.
  static std::string what_it_holds(pid_t pid) {
    const std::filesystem::path proc = "/proc/" + std::to_string(pid);
    std::string text = "in " + std::filesystem::read_symlink(proc / "cwd").native() + ", ";
    for (const auto& entry : std::filesystem::directory_iterator(proc / "fd")) {
      std::error_code gone;
      const auto target = std::filesystem::read_symlink(entry.path(), gone);
      // The worker may be looking up a name at this moment.
      const std::string name = target.filename().native();
      if (name == "group" || name == "passwd" || name == "nsswitch.conf") continue;
      if (target.native().starts_with("/etc/")) text += "holds " + target.native() + ", ";
    }
    return text;
  }
};

TEST_F(InheritedStateTest, OfAnyKindChangesNothing) {
  const std::string usual = served({"nothing"});
  const std::string directory = ::geteuid() == 0 ? "s 755" : "s 700";  // a user's is its own
  EXPECT_THAT(usual, HasSubstr("pong, state 700, " + directory +
                               " s/backend.sock 666 s/control.sock 660 "));
  EXPECT_THAT(usual, HasSubstr("in /, status 0"));
  for (const Inherited& inherited : conditions()) {
    SCOPED_TRACE(inherited.name);
    const bool no_file = std::string_view(inherited.name).starts_with("no file may grow");
    if (no_file && kThreadSanitized) continue;  // which cannot start there
    try {
      const std::string text = served(inherited);
      if (no_file) {
        EXPECT_THAT(text, HasSubstr("in /, status 0")) << "without its file";
      } else {
        EXPECT_EQ(text, usual);
      }
    } catch (const std::exception& failure) {  // a test's patience: the other rows go on
      ADD_FAILURE() << failure.what();
    }
  }
}

}  // namespace
}  // namespace muster::test
