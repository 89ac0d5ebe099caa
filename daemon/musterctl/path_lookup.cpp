#include "musterctl/path_lookup.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <deque>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "muster/path.h"

namespace muster::ctl {
namespace {

constexpr int kMostLinks = 40;  // as the kernel

std::vector<std::string> components_of(const std::string& path) {
  std::vector<std::string> components;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at && path.compare(at, end - at, ".") != 0) {
      components.push_back(path.substr(at, end - at));
    }
    at = end + 1;
  }
  return components;
}

// One walk from the root.
class Walk {
 public:
  explicit Walk(const std::string& spelling) {
    const auto components = components_of(spelling);
    todo_.assign(components.begin(), components.end());
  }

  PathLookup run() && {
    while (!todo_.empty()) {
      const std::string component = std::move(todo_.front());
      todo_.pop_front();
      if (component == "..") {
        if (!done_.empty()) done_.pop_back();
        if (done_.size() < unseen_from_) unseen_from_ = kNone;
      } else {
        done_.push_back(component);
        if (unseen_from_ == kNone) look();
      }
    }
    result_.path = text();
    return std::move(result_);
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  [[nodiscard]] std::string text() const {
    std::string path;
    for (const std::string& component : done_) path += '/' + component;
    return path.empty() ? "/" : path;
  }

  // At the last of done_, whose parent exists and is no link.
  void look() {
    const std::string here = text();
    struct stat status {};
    if (::lstat(here.c_str(), &status) != 0) return stop(errno, here);
    if (!S_ISLNK(status.st_mode)) return;
    if (++links_ > kMostLinks) return stop(ELOOP, here);
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlink(here.c_str(), target.data(), target.size());
    if (size < 0) return stop(errno, here);
    const std::string to(target.data(), static_cast<std::size_t>(size));
    done_.pop_back();
    if (to.starts_with('/')) done_.clear();
    const auto components = components_of(to);
    todo_.insert(todo_.begin(), components.begin(), components.end());
  }

  // What follows cannot be seen, until ".." leads out of it.
  void stop(int error, const std::string& here) {
    unseen_from_ = done_.size();
    // That something is missing is the least that can be wrong.
    if (result_.error != 0 && result_.error != ENOENT) return;
    if (result_.error == ENOENT && error == ENOENT) return;
    result_.error = error;
    result_.stopped_at = here;
  }

  std::deque<std::string> todo_;
  std::vector<std::string> done_;
  std::size_t unseen_from_ = kNone;  // done_ has at least so many while nothing can be seen
  int links_ = 0;
  PathLookup result_;
};

}  // namespace

PathLookup look_up_path(const std::string& spelling) {
  PathLookup found = Walk(spelling).run();
  if (found.error != 0) return found;
  struct stat meant {};
  struct stat reached {};
  if (::stat(spelling.c_str(), &meant) != 0 || ::stat(found.path.c_str(), &reached) != 0) {
    return found;  // it changes while one looks
  }
  if (meant.st_dev != reached.st_dev || meant.st_ino != reached.st_ino) {
    found.path = normalize_path_prefix(spelling).path;
    found.opaque_link = true;
  }
  return found;
}

bool is_working_directory(const std::string& directory) {
  struct stat shown {};
  struct stat here {};
  return ::stat(directory.c_str(), &shown) == 0 && ::stat(".", &here) == 0 &&
         shown.st_dev == here.st_dev && shown.st_ino == here.st_ino;
}

}  // namespace muster::ctl
