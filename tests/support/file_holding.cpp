#include "support/file_holding.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <liburing.h>
#include <sched.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "support/host_abilities.h"

namespace muster::test {
namespace {

std::string nothing_needed() { return {}; }

void map_and_close(const std::string& path, std::size_t bytes) {
  const int file = must_open(path, O_RDWR);
  must(::ftruncate(file, static_cast<off_t>(bytes)), "ftruncate");
  if (::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) must(-1, "mmap");
  ::close(file);
}

// Runs `hold` on a thread that stays.
void on_a_thread(const std::function<void()>& hold) {
  std::promise<void> holds;
  std::thread([&] {
    try {
      hold();
      holds.set_value();
    } catch (...) {
      holds.set_exception(std::current_exception());
    }
    for (;;) ::pause();
  }).detach();
  holds.get_future().get();
}

void register_with_io_uring(const std::string& path) {
  static io_uring ring;
  if (::io_uring_queue_init(4, &ring, 0) != 0) throw std::runtime_error("no io_uring");
  const int file = must_open(path, O_RDONLY);
  if (::io_uring_register_files(&ring, &file, 1) != 0) throw std::runtime_error("not registered");
  ::close(file);
}

}  // namespace

int must(int result, const std::string& what) {
  if (result < 0) throw std::runtime_error(what + ": " + std::strerror(errno));
  return result;
}

int must_open(const std::string& path, int flags) {
  return must(::open(path.c_str(), flags | O_CREAT | O_CLOEXEC, 0600), path);
}

void in_private_mounts() {
  must(::unshare(CLONE_NEWNS), "unshare");
  must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount private");
}

void bind_socket(const std::string& path) {
  const int socket = must(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  must(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
}

void send_in_flight(const std::string& path) {
  int pair[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
  const int file = must_open(path, O_RDONLY);
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof file)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof file);
  std::memcpy(CMSG_DATA(head), &file, sizeof file);
  must(static_cast<int>(::sendmsg(pair[0], &message, 0)), "sendmsg");
  ::close(file);
}

std::unique_ptr<Child> start_holder(const std::function<void()>& how, std::string& problem) {
  auto child = std::make_unique<Child>([&how](Child::Side& side) {
    try {
      how();
      side.say("holds\n");
    } catch (const std::exception& error) {
      side.say(std::string(error.what()) + '\n');
    }
    for (;;) ::pause();
  });
  const std::string heard = child->hear();
  if (heard == "holds") return child;
  problem = heard.empty() ? "the child ended" : heard;
  return nullptr;
}

std::vector<Holding> holdings_of_processes() {
  using Path = std::string;
  return {
      {"Descriptor", "open file", nothing_needed,
       [](const Path& d) { must_open(d + "/file", O_RDONLY); }, "1 descriptor", "/file"},
      {"Descriptors", "the same file, three times", nothing_needed,
       [](const Path& d) {
         for (int i = 0; i < 3; ++i) must_open(d + "/file", O_RDWR);
       },
       "3 descriptor", "/file"},
      {"PathDescriptor", "O_PATH descriptor", nothing_needed,
       [](const Path& d) { must(::open(d.c_str(), O_PATH | O_CLOEXEC), d); }, "1 path descriptor",
       ""},
      {"Directory", "open directory", nothing_needed,
       [](const Path& d) { must(::open(d.c_str(), O_RDONLY | O_CLOEXEC), d); }, "1 descriptor", ""},
      {"DeletedFile", "deleted file that is open", nothing_needed,
       [](const Path& d) {
         must_open(d + "/gone", O_RDWR);
         must(::unlink((d + "/gone").c_str()), "unlink");
       },
       "1 descriptor", "/gone"},
      {"FileOfADeletedDirectory", "file of a deleted directory", nothing_needed,
       [](const Path& d) {
         must(::mkdir((d + "/sub").c_str(), 0700), "mkdir");
         must_open(d + "/sub/gone", O_RDWR);
         std::filesystem::remove_all(d + "/sub");
       },
       "1 descriptor", "/sub/gone"},
      {"NameWithBlanksAndNewlines", "file with an odd name", nothing_needed,
       [](const Path& d) { must_open(d + "/a \\040b\n(deleted) (deleted)", O_RDWR); },
       "1 descriptor", "/a \\040b\n(deleted)"},
      {"MappingWithoutADescriptor", "mapping without a descriptor", nothing_needed,
       [](const Path& d) { map_and_close(d + "/file", 7); }, "1 mapping", "/file"},
      {"MappingOfAnOddName", "mapping of a file with an odd name", nothing_needed,
       [](const Path& d) { map_and_close(d + "/a\nb", 1); }, "1 mapping", "/a\nb"},
      {"WorkingDirectory", "working directory", nothing_needed,
       [](const Path& d) { must(::chdir(d.c_str()), d); }, "1 working directory", ""},
      {"ThreadWithItsOwnDescriptors", "descriptor of a thread with its own table", nothing_needed,
       [](const Path& d) {
         on_a_thread([&] {
           must(::unshare(CLONE_FILES), "unshare");
           must_open(d + "/file", O_RDONLY);
         });
       },
       "1 descriptor", "/file"},
      {"ThreadWithItsOwnDirectory", "working directory of a thread", nothing_needed,
       [](const Path& d) {
         on_a_thread([&] {
           must(::unshare(CLONE_FS), "unshare");
           must(::chdir(d.c_str()), d);
         });
       },
       "1 working directory", ""},
      {"FileOfAnIoUring", "file registered with an io_uring", nothing_needed,
       [](const Path& d) { register_with_io_uring(d + "/file"); }, "1 io_uring file", "/file"},
      // umount says that the target is busy.
      {"BoundSocket", "bound Unix socket", nothing_needed,
       [](const Path& d) { bind_socket(d + "/socket"); }, "1 bound socket", "/socket"},
      {"BoundSocketWithoutAName", "bound Unix socket, its name removed", nothing_needed,
       [](const Path& d) {
         bind_socket(d + "/a\nb c");
         must(::unlink((d + "/a\nb c").c_str()), "unlink");
       },
       "1 bound socket", "/a\nb c"},
  };
}

}  // namespace muster::test
