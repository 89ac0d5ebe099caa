#include "musterd/service/sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "muster/path.h"
#include "muster/socket_dir.h"

#include "broker/broker_server.h"
#include "musterd/control/control_plane.h"
#include "os/error_text.h"

namespace muster::daemon {
namespace {

constexpr std::string_view kBackendName = "backend";
constexpr std::string_view kControlName = "control";

ServerSockets failed(std::string problem) {
  ServerSockets none;
  none.problem = std::move(problem);
  return none;
}

// The names of passed sockets, as libsystemd allocates them.
class PassedNames {
 public:
  PassedNames() : count_(::sd_listen_fds_with_names(1, &names_)) {}
  PassedNames(const PassedNames&) = delete;
  PassedNames& operator=(const PassedNames&) = delete;
  ~PassedNames() {
    for (int i = 0; names_ != nullptr && i < count_; ++i) std::free(names_[i]);
    std::free(static_cast<void*>(names_));
  }
  [[nodiscard]] int count() const { return count_; }  // negative: an error number
  [[nodiscard]] std::string_view name(int i) const { return names_[i]; }

 private:
  char** names_ = nullptr;
  int count_;
};

// The file name of a socket; empty for one without.
std::string path_of_socket(int socket) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (size <= offsetof(sockaddr_un, sun_path) || address.sun_path[0] == '\0') return {};
  const std::size_t length = ::strnlen(address.sun_path, size - offsetof(sockaddr_un, sun_path));
  return {address.sun_path, length};
}

ServerSockets adopt(const PassedNames& passed) {
  ServerSockets sockets;
  sockets.passed = true;
  std::vector<os::UniqueFd> all;  // closes what is not taken
  all.reserve(static_cast<std::size_t>(passed.count()));
  for (int i = 0; i < passed.count(); ++i) all.emplace_back(SD_LISTEN_FDS_START + i);
  for (int i = 0; i < passed.count(); ++i) {
    os::UniqueFd& fd = all[static_cast<std::size_t>(i)];
    const std::string_view name = passed.name(i);
    if (name != kBackendName && name != kControlName) {
      return failed(
          fmt::format("the service manager passed a socket named \"{}\": name them \"backend\" and "
                      "\"control\" (FileDescriptorName=)",
                      escape_bytes(name)));
    }
    if (auto problem = os::adopt_listener(fd.get()); !problem.empty()) {
      return failed(fmt::format("the socket named \"{}\": {}", name, problem));
    }
    const std::string path = path_of_socket(fd.get());
    if (sockets.dir.empty()) sockets.dir = std::filesystem::path(path).parent_path().native();
    struct stat found {};
    if (!path.empty()) {
      // Zeros when it is gone already: then nobody can connect.
      (void)::lstat(path.c_str(), &found);
      sockets.places.push_back({path, found.st_dev, found.st_ino});
    }
    (name == kBackendName ? sockets.backend : sockets.control).push_back(std::move(fd));
  }
  for (const auto& [list, name] :
       {std::pair(&sockets.backend, kBackendName), std::pair(&sockets.control, kControlName)}) {
    if (list->empty()) {
      return failed(fmt::format(
          "the service manager passed no socket named \"{}\": pass both \"backend\" and "
          "\"control\" (FileDescriptorName=), or none",
          name));
    }
  }
  return sockets;
}

// A sentence when another broker serves the directory, whether the directory is still there or not.
std::string take_place(ServerSockets& sockets) {
  if (sockets.dir.empty()) return {};  // passed sockets without names
  auto taken = os::PlaceLock::take(sockets.dir, os::PlaceLock::Use::kSockets);
  if (taken.holder) {
    return fmt::format(
        "another broker{} already serves {}: stop it first, or choose another directory",
        os::in_parentheses(*taken.holder), escape_bytes(sockets.dir));
  }
  sockets.place = std::move(taken.lock);
  sockets.warning = std::move(taken.warning);
  return {};
}

// Nobody gets in before group and mode are right.
std::string make(os::SocketDirClaim& claim, std::string_view name, const SocketAccess& access,
                 std::vector<os::UniqueFd>& list) {
  const mode_t mode = access.effective_mode();
  os::Listening made = claim.listen(name, access.group ? 0600 : mode);
  if (!made.problem.empty()) return made.problem;
  if (access.group) {
    const auto path = claim.directory() / name;
    const auto group = *access.group;
    if (::lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0 ||
        ::chmod(path.c_str(), mode) != 0) {
      return fmt::format("cannot give {} to group {}: {}; run as root or as a member of it",
                         escape_bytes(path.native()), group, os::error_text(errno));
    }
  }
  list.push_back(std::move(made.socket));
  return {};
}

}  // namespace

ServerSockets claim_sockets(const SocketSettings& settings) {
  const PassedNames passed;
  if (passed.count() < 0) {
    return failed(fmt::format("the sockets that the service manager passed cannot be taken: {}",
                              os::error_text(-passed.count())));
  }
  if (passed.count() > 0) {
    ServerSockets sockets = adopt(passed);
    if (sockets.problem.empty()) sockets.problem = take_place(sockets);
    return sockets;
  }
  const SocketDir dir = socket_dir_to_serve(settings.dir);
  if (!dir.problem.empty()) return failed(dir.problem);
  ServerSockets sockets;
  sockets.dir = dir.path.native();
  // Before anything is made there: the broker that has the place may be about to make it again.
  sockets.problem = take_place(sockets);
  if (!sockets.problem.empty()) return sockets;
  auto claimed = os::SocketDirClaim::claim(dir.path);
  if (!claimed.problem.empty()) return failed(claimed.problem);
  sockets.claim = std::move(claimed.claim);
  sockets.dir = sockets.claim.directory().native();
  return sockets;
}

std::string make_sockets(ServerSockets& sockets, const SocketSettings& settings) {
  if (sockets.passed) return {};
  std::string problem = make(sockets.claim, kBackendSocketName, settings.backend, sockets.backend);
  if (problem.empty()) {
    problem = make(sockets.claim, kControlSocketName, settings.control, sockets.control);
  }
  return problem;
}

std::string misplaced(const ServerSockets& sockets, LostSockets lost) {
  std::vector<std::string> gone;
  for (const auto& place : sockets.places) {
    struct stat there {};
    if (::lstat(place.path.c_str(), &there) != 0 || there.st_dev != place.device ||
        there.st_ino != place.inode) {
      gone.push_back(escape_bytes(place.path));
    }
  }
  if (sockets.claim) {
    const auto& dir = sockets.claim.directory();
    if (!sockets.claim.holds_directory()) gone.push_back(escape_bytes(dir.native()));
    for (const char* name : {kBackendSocketName, kControlSocketName}) {
      if (!sockets.claim.is_in_place(name)) gone.push_back(escape_bytes((dir / name).native()));
    }
  }
  const auto add_lost = [&](const char* name) {
    std::string path = escape_bytes((std::filesystem::path(sockets.dir) / name).native());
    if (std::find(gone.begin(), gone.end(), path) == gone.end()) gone.push_back(std::move(path));
  };
  if (lost.backend) add_lost(kBackendSocketName);
  if (lost.control) add_lost(kControlSocketName);
  return fmt::format("{}", fmt::join(gone, ", "));
}

std::string put_back(ServerSockets& sockets, const SocketSettings& settings, LostSockets lost) {
  if (!sockets.claim) {
    return "the service manager made them: restart the socket units, too";
  }
  if (!sockets.claim.holds_directory()) {
    auto claimed = os::SocketDirClaim::claim(sockets.claim.directory());
    if (!claimed.problem.empty()) return claimed.problem;
    sockets.claim = std::move(claimed.claim);
  }
  std::string problem;
  if (lost.backend || !sockets.claim.is_in_place(kBackendSocketName)) {
    problem = make(sockets.claim, kBackendSocketName, settings.backend, sockets.backend);
  }
  if (problem.empty() && (lost.control || !sockets.claim.is_in_place(kControlSocketName))) {
    problem = make(sockets.claim, kControlSocketName, settings.control, sockets.control);
  }
  return problem;
}

std::vector<SocketPermissions> permissions_of(const ServerSockets& sockets) {
  std::vector<SocketPermissions> all;
  for (const auto& [list, lane] : {std::pair(&sockets.backend, core::Lane::kBackend),
                                   std::pair(&sockets.control, core::Lane::kControl)}) {
    for (const os::UniqueFd& socket : *list) {
      if (auto found = socket_permissions(socket.get(), lane)) all.push_back(std::move(*found));
    }
  }
  return all;
}

std::string not_served(const broker::BrokerServer& backends, const ControlPlane& operators) {
  if (!backends.is_serving()) return "backends are not accepted: a task failed for good";
  if (!operators.is_serving()) return "operators are not accepted: a task failed for good";
  return {};
}

}  // namespace muster::daemon
