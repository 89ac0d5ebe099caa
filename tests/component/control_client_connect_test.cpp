// ControlClient finds no broker, or something else in its place.
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "muster/control.h"

#include "component/control_client_fixture.h"
#include "support/temp_dir.h"

namespace muster {
namespace {

using namespace std::chrono_literals;
using test::failure_text;

std::string socket_of(const test::TempDir& dir) { return (dir / "control.sock").native(); }

int listening_socket(const std::string& path, int type) {
  const int socket = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return -1;
  if (type == SOCK_STREAM && ::listen(socket, 0) != 0) return -1;
  return socket;
}

TEST(ControlClientConnect, SaysWhatIsMissingAndWhatToDo) {
  const test::TempDir dir;
  const std::string path = socket_of(dir);
  EXPECT_EQ(failure_text([&] { ControlClient client(dir.path()); }),
            "unreachable: no broker listens at " + path +
                ": start musterd, or name its directory with --socket-dir");
  EXPECT_EQ(failure_text([&] { ControlClient client(dir / "none"); }),
            "unreachable: no broker listens at " + (dir / "none").native() +
                "/control.sock: start musterd, or name its directory with --socket-dir");
}

TEST(ControlClientConnect, TellsALeftOverSocketFromAFileAndFromAnotherKindOfSocket) {
  const test::TempDir dir;
  const std::string path = socket_of(dir);
  ::close(listening_socket(path, SOCK_STREAM));
  EXPECT_EQ(
      failure_text([&] { ControlClient client(dir.path()); }),
      "unreachable: no broker listens at " + path +
          " any more (its socket is left over): start musterd, or name the broker's directory "
          "with --socket-dir");
  std::filesystem::remove(path);
  std::ofstream(path) << "a file";
  EXPECT_EQ(failure_text([&] { ControlClient client(dir.path()); }),
            "unreachable: " + path +
                " is not a socket: remove what is there and start musterd, or name the broker's "
                "directory with --socket-dir");
  EXPECT_EQ(failure_text([&] { ControlClient client(path); }),
            "unreachable: the directory of " + path +
                "/control.sock is not a directory: name the broker's with --socket-dir");
  std::filesystem::remove(path);
  const int datagram = listening_socket(path, SOCK_DGRAM);
  EXPECT_EQ(failure_text([&] { ControlClient client(dir.path()); }),
            "unreachable: " + path +
                " is not a stream socket, so no broker's: remove it and start musterd, or name the "
                "broker's directory with --socket-dir");
  ::close(datagram);
}

TEST(ControlClientConnect, RefusesADirectoryWhoseSocketNoAddressHolds) {
  const std::string message =
      failure_text([] { ControlClient client("/tmp/" + std::string(200, 'x')); });
  EXPECT_EQ(message.substr(0, 18), "unreachable: the s");
  EXPECT_NE(message.find("too long for a socket address"), std::string::npos) << message;
}

TEST(ControlClientConnect, GivesUpOnABrokerThatAcceptsNobody) {
  const test::TempDir dir;
  const int socket = listening_socket(socket_of(dir), SOCK_STREAM);
  // Fill the backlog; how many it takes is the kernel's affair.
  std::vector<int> waiting;
  std::string message;
  for (int i = 0; i < 100 && message.empty(); ++i) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_of(dir).copy(address.sun_path, sizeof address.sun_path - 1);
    waiting.push_back(fd);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) continue;
    message = failure_text([&] { ControlClient client(dir.path(), 1ms); });
  }
  for (const int fd : waiting) ::close(fd);
  ::close(socket);
  EXPECT_EQ(message, "unreachable: the broker at " + socket_of(dir) +
                         " does not accept connections: it hangs, is stopped or has too many "
                         "waiting");
}

}  // namespace
}  // namespace muster
