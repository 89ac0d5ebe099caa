#include "os/whereabouts.h"

#include <fstream>
#include <sys/stat.h>

namespace muster::os {
namespace {

std::uint64_t inode_of(const char* path) {
  struct stat found {};
  return ::stat(path, &found) == 0 ? found.st_ino : 0;
}

bool is_another(std::uint64_t then, std::uint64_t now) { return then != 0 && then != now; }

}  // namespace

Namespaces current_namespaces() {
  return {inode_of("/proc/self/ns/pid"), inode_of("/proc/self/ns/time")};
}

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

Whereabouts current_whereabouts() { return {boot_id(), current_namespaces()}; }

bool may_outlive(const Whereabouts& then, const Whereabouts& here) {
  return then.boot_id.empty() || here.boot_id.empty() || then.boot_id == here.boot_id;
}

bool is_elsewhere(const Namespaces& then, const Namespaces& here) {
  return is_another(then.pid, here.pid) || is_another(then.time, here.time);
}

}  // namespace muster::os
