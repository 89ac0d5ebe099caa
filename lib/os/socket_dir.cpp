#include "muster/socket_dir.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

#include "muster/path.h"

namespace muster {
namespace {

// A path in a socket address ends with a NUL.
constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kMaxSocketName =
    std::max(sizeof(kBackendSocketName), sizeof(kControlSocketName)) - 1;
constexpr std::size_t kMaxDir = kMaxSocketPath - 1 - kMaxSocketName;

SocketDir refused(std::string problem) { return {{}, std::move(problem)}; }

// Absolute, so that a daemon that changes its directory finds its broker again.
SocketDir checked(const std::filesystem::path& path, std::string_view what) {
  const std::string name = std::string(what) + ' ' + quote(path.native());
  if (path.native().find('\0') != std::string::npos) {
    return refused(name + " contains a NUL byte, which no path can");
  }
  std::error_code ec;
  std::filesystem::path absolute = std::filesystem::absolute(path, ec).lexically_normal();
  if (ec) return refused(name + " cannot be made absolute: " + ec.message());
  if (!absolute.has_filename() && absolute != absolute.root_path()) {
    absolute = absolute.parent_path();
  }
  const std::size_t length = absolute.native().size();
  if (length > kMaxDir) {
    return refused(name + " is too long for a socket address: " + std::to_string(length) +
                   " bytes, at most " + std::to_string(kMaxDir) + " fit; choose a shorter one");
  }
  return {std::move(absolute), {}};
}

std::string_view variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// Neither path nor problem where it is not set.
SocketDir session_dir() {
  const auto runtime = variable("XDG_RUNTIME_DIR");
  if (runtime.empty()) return {};
  if (runtime.front() != '/') {
    return refused("XDG_RUNTIME_DIR " + quote(runtime) + " is not an absolute path");
  }
  return checked(std::filesystem::path(runtime) / "muster", "the socket directory");
}

}  // namespace

SocketDirSearch::SocketDirSearch(const std::filesystem::path& given) {
  const auto from_environment = variable("MUSTER_SOCKET_DIR");
  is_named_ = !given.empty() || !from_environment.empty();
  if (!given.empty()) {
    named_ = checked(given, "the socket directory");
  } else if (is_named_) {
    named_ = checked(from_environment, "MUSTER_SOCKET_DIR");
  } else {
    session_ = session_dir();
  }
}

SocketDir SocketDirSearch::find(const std::filesystem::path& system) const {
  if (is_named_) return named_;
  std::error_code ec;
  const bool has_session = !session_.path.empty() || !session_.problem.empty();
  if (!has_session || std::filesystem::is_directory(system, ec)) return {system, {}};
  return session_;
}

SocketDir find_socket_dir(const std::filesystem::path& given) {
  return SocketDirSearch(given).find();
}

SocketDir socket_dir_to_serve(const std::filesystem::path& given) {
  if (!given.empty()) return checked(given, "the socket directory");
  if (const auto dir = variable("MUSTER_SOCKET_DIR"); !dir.empty()) {
    return checked(dir, "MUSTER_SOCKET_DIR");
  }
  if (::geteuid() == 0) return {kSystemSocketDir, {}};
  SocketDir session = session_dir();
  if (!session.path.empty() || !session.problem.empty()) return session;
  return refused(
      "there is no socket directory: neither MUSTER_SOCKET_DIR nor XDG_RUNTIME_DIR is set; give "
      "one");
}

}  // namespace muster
