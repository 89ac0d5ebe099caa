#include "os/place_lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "os/error_text.h"

namespace muster::os {
namespace {

// Addresses for each name, so that another user who took the first ones keeps nobody from the rest.
constexpr int kAddressesOfAName = 8;
constexpr int kMostWhoLooked = 4096;

// FNV-1a: an address is short, a path is not. Brokers of all versions must agree on it.
class PlaceHash {
 public:
  void add(std::string_view bytes) noexcept {
    for (const char byte : bytes) {
      value_ = (value_ ^ static_cast<unsigned char>(byte)) * 0x100'0000'01B3ULL;
    }
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xCBF2'9CE4'8422'2325ULL;
};

// The name as given, and what symbolic links make of it: of its parent, and of itself. A link that
// is deleted is the directory's old name all the same.
std::vector<std::string> spellings(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::path given = std::filesystem::absolute(directory, error).lexically_normal();
  if (error) given = directory;
  if (!given.has_filename()) given = given.parent_path();
  std::vector<std::string> all{given.native()};
  const auto add = [&](const std::filesystem::path& other) {
    const bool is_new = std::find(all.begin(), all.end(), other.native()) == all.end();
    if (!error && is_new) all.push_back(other.native());
  };
  add(std::filesystem::weakly_canonical(given.parent_path(), error) / given.filename());
  add(std::filesystem::weakly_canonical(given, error));
  return all;
}

struct PlaceAddress {
  sockaddr_un address{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// Of the root directory, too: in a chroot or container the same name is another place.
PlaceAddress address_of(const std::string& spelling, PlaceLock::Use use, int number) {
  struct stat root {};
  (void)::stat("/", &root);
  PlaceHash hash;
  hash.add(std::to_string(root.st_dev) + ':' + std::to_string(root.st_ino) + ':');
  hash.add(spelling);
  std::array<char, 64> name{};
  const int length = std::snprintf(name.data(), name.size(), "muster/%s/%016llx/%d",
                                   use == PlaceLock::Use::kSockets ? "sockets" : "state",
                                   static_cast<unsigned long long>(hash.value()), number);
  PlaceAddress made;
  made.address.sun_family = AF_UNIX;
  // Behind the NUL that makes it abstract.
  std::memcpy(made.address.sun_path + 1, name.data(), static_cast<std::size_t>(length));
  made.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                     static_cast<std::size_t>(length));
  return made;
}

UniqueFd make_socket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Who listens there.
std::optional<ucred> listener_at(const PlaceAddress& place) {
  const UniqueFd probe = make_socket();
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (!probe || ::connect(probe.get(), place.get(), place.size) != 0 ||
      ::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  return peer;
}

// Of the directory, or of the nearest one above that exists.
std::optional<uid_t> owner_of(std::filesystem::path directory) {
  struct stat found {};
  while (::stat(directory.c_str(), &found) != 0) {
    if (!directory.has_relative_path()) return std::nullopt;
    directory = directory.parent_path();
  }
  return found.st_uid;
}

// One listening socket for a name; `error` is EADDRINUSE when every address is taken.
UniqueFd listen_at_first_free(const std::string& spelling, PlaceLock::Use use, int& error) {
  for (int number = 0; number < kAddressesOfAName; ++number) {
    UniqueFd socket = make_socket();
    const PlaceAddress place = address_of(spelling, use, number);
    if (socket && ::bind(socket.get(), place.get(), place.size) == 0 &&
        ::listen(socket.get(), kMostWhoLooked) == 0) {
      return socket;
    }
    error = errno;
    if (error != EADDRINUSE) break;
  }
  return {};
}

}  // namespace

PlaceLock::Result PlaceLock::take(const std::filesystem::path& directory, Use use) {
  Result result;
  const std::vector<std::string> names = spellings(directory);
  const std::optional<uid_t> owner = owner_of(names.back());
  const auto may_serve = [&owner](uid_t uid) {
    return uid == 0 || uid == ::geteuid() || uid == owner;
  };
  // All of them first: a broker may be behind addresses that others took.
  for (const std::string& name : names) {
    for (int number = 0; number < kAddressesOfAName; ++number) {
      const auto found = listener_at(address_of(name, use, number));
      if (!found) continue;
      if (may_serve(found->uid)) {
        result.holder = found->pid;
        return result;
      }
      result.warning = "the process" + in_parentheses(found->pid) + " of uid " +
                       std::to_string(found->uid) + " pretends to be a broker of " + names.front() +
                       ": find out why";
    }
  }
  for (const std::string& name : names) {
    int error = 0;
    UniqueFd listener = listen_at_first_free(name, use, error);
    if (listener) {
      result.lock.listeners_.push_back(std::move(listener));
      continue;
    }
    result.warning = "a second broker would not be noticed after " + names.front() +
                     " is deleted: " + error_text(error) + ": do not delete it, or stop the " +
                     "broker first";
  }
  return result;
}

void PlaceLock::let_go_of_others() noexcept {
  for (const UniqueFd& listener : listeners_) {
    for (int i = 0; i < kMostWhoLooked; ++i) {
      const UniqueFd other(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!other) break;
    }
  }
}

std::string in_parentheses(pid_t holder) {
  return holder > 0 ? " (pid " + std::to_string(holder) + ")" : std::string();
}

}  // namespace muster::os
