#include "support/host_abilities.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/unique_fd.h"

namespace muster::test {
namespace {

constexpr uid_t kOther = 65534;

// Tries it in a child, which it changes: "" or what errno said.
std::string why_not(int (*attempt)()) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) ::_exit(attempt() == 0 ? 0 : errno);
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFEXITED(status))
    throw std::runtime_error("waitpid");
  return WEXITSTATUS(status) == 0 ? "" : std::strerror(WEXITSTATUS(status));
}

std::string sentence(const std::string& what, const std::string& why) {
  return why.empty() ? "" : what + ": " + why;
}

}  // namespace

std::string why_no_private_mounts() {
  if (const auto why = why_not([] { return ::unshare(CLONE_NEWNS); }); !why.empty()) {
    return sentence("no mount namespace can be made here (CAP_SYS_ADMIN)", why);
  }
  return sentence("mounts cannot be made private here (the root of a chroot is no mount point)",
                  why_not([] {
                    if (::unshare(CLONE_NEWNS) != 0) return -1;
                    return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
                  }));
}

std::string why_no_pid_namespaces() {
  constexpr int kNewTime = 0x80;  // CLONE_NEWTIME, which the headers lack
  return sentence("no pid and time namespaces can be made here (CAP_SYS_ADMIN)",
                  why_not([] { return ::unshare(CLONE_NEWPID | kNewTime); }));
}

std::string why_no_terminal() {
  const os::UniqueFd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  std::array<char, 64> name{};
  if (terminal && ::grantpt(terminal.get()) == 0 && ::unlockpt(terminal.get()) == 0 &&
      ::ptsname_r(terminal.get(), name.data(), name.size()) == 0 &&
      ::access(name.data(), R_OK | W_OK) == 0) {
    return "";
  }
  return sentence("no pseudo terminal can be made here (is /dev/pts mounted?)",
                  std::strerror(errno));
}

std::string why_no_forced_buffers() {
  return sentence("a large socket buffer needs CAP_NET_ADMIN", why_not([] {
                    const int size = 4'000'000;
                    return ::setsockopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                                        SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
                  }));
}

std::string why_not_several_users() {
  if (::geteuid() != 0) return "needs root, to be several users";
  if (::access("/usr/bin/setpriv", X_OK) != 0) return "needs setpriv, to be several users";
  return sentence("this root cannot become another user", why_not([] {
                    const gid_t group = kOther;
                    if (::setgroups(1, &group) != 0 || ::setresgid(kOther, kOther, kOther) != 0) {
                      return -1;
                    }
                    return ::setresuid(kOther, kOther, kOther);
                  }));
}

}  // namespace muster::test
