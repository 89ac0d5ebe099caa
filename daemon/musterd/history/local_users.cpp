#include "musterd/history/local_users.h"

#include <array>
#include <cstdio>
#include <memory>
#include <pwd.h>

namespace muster::daemon {
namespace {

constexpr std::size_t kLongestLine = 4096;  // others are left out
constexpr std::size_t kMostUsers = 65'536;

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_ino == other.st_ino && one.st_dev == other.st_dev && one.st_size == other.st_size &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

}  // namespace

std::string LocalUsers::name_of(uid_t uid) {
  struct stat now {};
  if (::stat(file_.c_str(), &now) == 0 && !is_same(now, seen_)) {
    seen_ = now;
    read();
  }
  const auto found = names_.find(uid);
  return found == names_.end() ? std::string() : found->second;
}

void LocalUsers::read() {
  names_.clear();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(file_.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return;
  std::array<char, kLongestLine> line{};
  passwd entry{};
  passwd* found = nullptr;
  while (names_.size() < kMostUsers) {
    const int error = ::fgetpwent_r(file.get(), &entry, line.data(), line.size(), &found);
    if (error != 0 || found == nullptr) return;
    names_.try_emplace(entry.pw_uid, entry.pw_name);  // the first of several is the usual one
  }
}

}  // namespace muster::daemon
