#include "bench/peers/dbus_controller.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <stdexcept>
#include <string>
#include <sys/socket.h>

#include <systemd/sd-bus.h>

#include "bench/peers/peers.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

// What a listener's policy is made of: for each uid, for each range of gids, SELinux, AppArmor,
// kind of bus. A batch: may connect, names to own, what may be sent, what may be received.
#define BATCH "bta(btbs)a(btssssuutt)a(btssssuutt)"
constexpr char kPolicy[] = "(a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs)";
#undef BATCH

void check_dbus(int result, const char* what) {
  if (result >= 0) return;
  throw std::runtime_error(std::string("dbus-broker: ") + what + ": " + std::strerror(-result));
}

// Everybody may do everything.
void listen_on(sd_bus* controller, int listener) {
  constexpr std::uint64_t kPriority = 1;
  constexpr std::uint64_t kNone = 0;
  constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
  constexpr int kYes = 1;
  sd_bus_error error{};
  const int result = sd_bus_call_method(
      controller, nullptr, "/org/bus1/DBus/Broker", "org.bus1.DBus.Broker", "AddListener", &error,
      nullptr, "ohv", "/org/bus1/DBus/Listener/0", listener, kPolicy,
      // one batch, for all users
      1U, std::numeric_limits<std::uint32_t>::max(), kYes, kPriority,
      // any name
      1U, kYes, kPriority, kYes, "",
      // sends and receives: names, path, interface, member, type, broadcast, descriptors
      1U, kYes, kPriority, "", "", "", "", 0U, 0U, kNone, kAll,  //
      1U, kYes, kPriority, "", "", "", "", 0U, 0U, kNone, kAll,
      // nothing for ranges of gids or SELinux; no AppArmor
      0U, 0U, 0, "session");
  const std::string text = error.message == nullptr ? "" : error.message;
  sd_bus_error_free(&error);
  check_dbus(result, ("AddListener " + text).c_str());
}

}  // namespace

DbusBroker::DbusBroker(const std::filesystem::path& socket, const std::filesystem::path& log) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    check_dbus(-errno, "socketpair");
  }
  os::UniqueFd ours(ends[0]);
  const os::UniqueFd theirs(ends[1]);
  constexpr char kPlenty[] = "1000000000";  // its quotas are not what is measured
  child_ = Child::run({kDbusBroker, "--controller", std::to_string(theirs.get()), "--machine-id",
                       std::string(32, '0'), "--max-bytes", kPlenty, "--max-fds", kPlenty,
                       "--max-matches", kPlenty, "--max-objects", kPlenty},
                      log, {}, theirs.get());
  check_dbus(sd_bus_new(&controller_), "sd_bus_new");
  check_dbus(sd_bus_set_fd(controller_, ours.get(), ours.get()), "sd_bus_set_fd");
  [[maybe_unused]] const int taken = ours.release();
  check_dbus(sd_bus_start(controller_), "sd_bus_start");
  const os::UniqueFd listener = listen_at(socket);
  ::fcntl(listener.get(), F_SETFL, O_NONBLOCK);
  listen_on(controller_, listener.get());
}

DbusBroker::~DbusBroker() { sd_bus_close_unref(controller_); }

}  // namespace muster::bench
