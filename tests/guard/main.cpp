// Two sides that take turns at a given amount of work, for tests/guard/guard.py, which starts both
// and counts what it costs the broker:
//
//   muster-guard broker TURNS_FD SOCKET TRANSPORT BACKENDS ROUNDS IN_FLIGHT REPORTS
//   muster-guard peers TURNS_FD SOCKET
//
// The broker prints what only the process itself can count. Exit status: 0 done, 1 it went wrong,
// 2 usage, 77 this kernel does not have the transport. Started by root it becomes the owner of the
// socket's directory, so that its figures are those of any user.
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <grp.h>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "guard/broker_side.h"
#include "guard/peers.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotHere = 77;

std::uint32_t number(std::string_view text) {
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    throw std::invalid_argument("\"" + std::string(text) + "\" is not a number");
  }
  return value;
}

// Without taking anything down: that is not what is counted.
[[noreturn]] void finish(muster::guard::Counts counts) {
  std::printf("{\"allocations\": %llu, \"heap_bytes\": %llu}\n",
              static_cast<unsigned long long>(counts.allocations),
              static_cast<unsigned long long>(counts.heap_bytes));
  std::fflush(stdout);
  ::_exit(0);
}

void become_owner_of(const std::filesystem::path& directory) {
  struct stat found {};
  if (::geteuid() != 0 || ::stat(directory.c_str(), &found) != 0 || found.st_uid == 0) return;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(found.st_gid, found.st_gid, found.st_gid) != 0 ||
      ::setresuid(found.st_uid, found.st_uid, found.st_uid) != 0) {
    throw std::system_error(errno, std::generic_category(), "becoming the user of the directory");
  }
}

int run(std::span<char*> arguments) {
  if (arguments.size() >= 3) {
    become_owner_of(std::filesystem::path(arguments[2]).parent_path());
  }
  const std::string_view side = arguments.empty() ? std::string_view() : arguments[0];
  if (side == "peers" && arguments.size() == 3) {
    muster::guard::run_peers(static_cast<int>(number(arguments[1])), arguments[2]);
    return 0;
  }
  if (side == "broker" && arguments.size() == 8) {
    const muster::guard::Work work{arguments[3], number(arguments[4]), number(arguments[5]),
                                   number(arguments[6]), number(arguments[7])};
    muster::guard::run_broker(static_cast<int>(number(arguments[1])), arguments[2], work, finish);
    return 0;
  }
  throw std::invalid_argument("start it with tests/guard/guard.py");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::span(argv, static_cast<std::size_t>(argc)).subspan(argc > 0 ? 1 : 0));
  } catch (const muster::guard::NotHere& error) {
    std::fprintf(stderr, "muster-guard: %s\n", error.what());
    return kExitNotHere;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "muster-guard: %s\n", error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "muster-guard: %s\n", error.what());
    return kExitFailed;
  }
}
