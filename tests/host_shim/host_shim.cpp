// A library that tests preload into a program to give it a slow or failing host.
//
//   MUSTER_FSYNC_MS=N           fsync(2) and fdatasync(2) take N milliseconds longer
//   MUSTER_DISK_FILE=PATH       what they do, as the first byte of that file: 'h' hangs until it is
//                               another, 'e' is EIO, anything else waits for the disk
//   MUSTER_LOOKUP_FILE=PATH     what the name service does with names that begin with "shim-", as
//                               the first byte of that file: 'h' hangs until it is another, 'e' is
//                               EIO, 'n' is "no such name", anything else finds uid and gid 4242
//   MUSTER_ACCEPT_FILE=PATH     whether there is no memory just after a connection was accepted:
//   '1'
//                               to '9' as the first byte of that file lets the first to ninth
//                               malloc(3) after it fail, once for each connection
//
// Runs before a sanitizer's runtime is up: nothing here allocates.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr unsigned kShimId = 4242;

void pause_ms(long ms) {
  timespec left{ms / 1000, (ms % 1000) * 1'000'000};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

void slow_down() {
  const char* ms = ::getenv("MUSTER_FSYNC_MS");
  if (ms != nullptr) pause_ms(::atol(ms));
}

// The first byte of the file that a variable names; `otherwise` when there is none.
char told_by(const char* variable, char otherwise) {
  const char* path = ::getenv(variable);
  char byte = otherwise;
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (::read(fd, &byte, 1) != 1) byte = otherwise;
    ::close(fd);
  }
  return byte;
}

int sync_now(long call, int fd) {
  slow_down();
  char how = told_by("MUSTER_DISK_FILE", 'f');
  for (; how == 'h'; how = told_by("MUSTER_DISK_FILE", 'f')) pause_ms(10);
  if (how != 'e') return static_cast<int>(::syscall(call, fd));
  errno = EIO;
  return -1;
}

char lookup_now() { return told_by("MUSTER_LOOKUP_FILE", 'f'); }

// How the lookup of such a name ends: an errno, 0 with found or not.
int shim_lookup(bool& found) {
  char how = lookup_now();
  for (; how == 'h'; how = lookup_now()) pause_ms(10);
  found = how != 'e' && how != 'n';
  return how == 'e' ? EIO : 0;
}

// This thread's malloc that fails, counted down; 0: none does.
thread_local int mallocs_until_failure = 0;

int after_accept(int connection) {
  const char digit = told_by("MUSTER_ACCEPT_FILE", '0');
  const bool fails = connection >= 0 && digit >= '1' && digit <= '9';
  mallocs_until_failure = fails ? digit - '0' : 0;
  return connection;
}

bool is_of_shim(const char* name) { return std::strncmp(name, "shim-", 5) == 0; }

}  // namespace

extern "C" {

// glibc's. NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
void* __libc_malloc(size_t bytes);

__attribute__((visibility("default"))) void* malloc(size_t bytes) {
  if (mallocs_until_failure > 0) {
    --mallocs_until_failure;
    if (mallocs_until_failure == 0) {
      errno = ENOMEM;
      return nullptr;
    }
  }
  return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) int accept(int socket, sockaddr* address, socklen_t* size) {
  return after_accept(static_cast<int>(::syscall(SYS_accept, socket, address, size)));
}

__attribute__((visibility("default"))) int accept4(int socket, sockaddr* address, socklen_t* size,
                                                   int flags) {
  return after_accept(static_cast<int>(::syscall(SYS_accept4, socket, address, size, flags)));
}

__attribute__((visibility("default"))) int fsync(int fd) { return sync_now(SYS_fsync, fd); }

__attribute__((visibility("default"))) int fdatasync(int fd) { return sync_now(SYS_fdatasync, fd); }

__attribute__((visibility("default"))) int getpwnam_r(const char* name, passwd* entry, char* text,
                                                      size_t size, passwd** result) {
  using Real = int (*)(const char*, passwd*, char*, size_t, passwd**);
  *result = nullptr;
  if (!is_of_shim(name)) {
    return reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "getpwnam_r"))(name, entry, text, size,
                                                                    result);
  }
  bool found = false;
  const int error = shim_lookup(found);
  if (!found) return error;
  if (size < 1) return ERANGE;
  text[0] = '\0';
  *entry = {text, text, kShimId, kShimId, text, text, text};
  *result = entry;
  return 0;
}

__attribute__((visibility("default"))) int getgrnam_r(const char* name, group* entry, char* text,
                                                      size_t size, group** result) {
  using Real = int (*)(const char*, group*, char*, size_t, group**);
  *result = nullptr;
  if (!is_of_shim(name)) {
    return reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "getgrnam_r"))(name, entry, text, size,
                                                                    result);
  }
  bool found = false;
  const int error = shim_lookup(found);
  if (!found) return error;
  if (size < sizeof(char*) + 1) return ERANGE;
  std::memset(text, 0, sizeof(char*) + 1);
  *entry = {text + sizeof(char*), text + sizeof(char*), kShimId, reinterpret_cast<char**>(text)};
  *result = entry;
  return 0;
}

}  // extern "C"
