#include "musterctl/resolve_path.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <linux/magic.h>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "muster/path.h"

#include "musterctl/bounded_child.h"
#include "os/error_text.h"

namespace muster::ctl {

// --- looking

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

// Of /proc/self and /proc/thread-self.
bool is_of_the_process(const std::string& directory, const std::string& name) {
  struct statfs system {};
  return (name == "self" || name == "thread-self") && ::statfs(directory.c_str(), &system) == 0 &&
         system.f_type == PROC_SUPER_MAGIC;
}

// One walk from the root.
class Walk {
 public:
  explicit Walk(const std::string& spelling) {
    const auto components = components_of(spelling);
    todo_.assign(components.begin(), components.end());
  }

  PathLookup run() && {
    while (!todo_.empty() && !result_.process_link) {
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
    const std::string name = std::move(done_.back());
    done_.pop_back();
    if (is_of_the_process(text(), name)) {
      result_.process_link = true;
      result_.stopped_at = here;
      return;
    }
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
  if (found.error != 0 || found.process_link) return found;
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

// --- resolving

namespace {

namespace fs = std::filesystem;

// Not normal yet: ".." behind a link is the kernel's affair.
std::string spelled_from(const std::string& directory, const std::string& text) {
  return text.starts_with('/') ? text : directory + '/' + text;
}

// $PWD, if it can be a name of the working directory: whether it is, only the file system knows.
std::string shells_directory() {
  const char* const text = std::getenv("PWD");  // NOLINT(concurrency-mt-unsafe): one thread
  if (text == nullptr) return {};
  const fs::path shown(text);
  return shown.is_absolute() && shown == shown.lexically_normal() ? shown.native() : "";
}

// What a shell would have replaced, had it not been in quotes.
std::string unexpanded(const std::string& text) {
  const std::string first = text.substr(0, text.find('/'));
  if (first.starts_with('~')) return escape_bytes(first);
  if (const auto at = text.find('$'); at != std::string::npos) {
    return escape_bytes(text.substr(at, text.find('/', at) - at));
  }
  if (text.find_first_of("*?[") != std::string::npos) return "the pattern";
  return {};
}

std::string say_missing(const std::string& text, const std::string& path) {
  const std::string name = escape_bytes(path);
  const std::string what = unexpanded(text);
  if (!what.empty()) {
    return name + " does not exist: the shell did not expand " + what + " in \"" +
           escape_bytes(text) + "\": write it without quotes";
  }
  return name + " does not exist: going on with the path as it is written";
}

std::string say_unresolved(const std::string& written, const std::string& why,
                           const std::string& what_to_do) {
  return escape_bytes(written) + " cannot be resolved: " + why + ": " + what_to_do +
         ", or ask for it as it is written with --as-written";
}

const char* what_to_do_about(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "run musterctl as root or as a user who may look there";
    case ELOOP:
      return "repair the link, or name the path that is meant";
    case ENOTDIR:
    case ENAMETOOLONG:
      return "name a path that can exist";
    default:
      return "repair its file system";
  }
}

// Why it is not known which path is meant; nothing if it is.
std::string problem_of(const std::string& written, const PathLookup& found,
                       const std::string& canonical_problem) {
  const std::string at = escape_bytes(found.stopped_at);
  if (found.process_link) {
    return escape_bytes(written) + " cannot be resolved: it leads through " + at +
           ", which is another place for every process: name the path it leads to (`readlink -f " +
           escape_bytes(written) + "` shows it)";
  }
  if (!canonical_problem.empty()) {
    return say_unresolved(written, canonical_problem, "name a shorter path to the same place");
  }
  if (found.error != 0 && found.error != ENOENT) {
    return say_unresolved(written, at + ": " + os::error_text(found.error),
                          what_to_do_about(found.error));
  }
  if (found.opaque_link) {
    return say_unresolved(written,
                          "it leads through a link of the kernel that has no other name here",
                          "name another path to the same place");
  }
  return {};
}

// The spelling for backends, who compare text; none where it is no name of the same place: a ".."
// behind a link is one place to the kernel and another as text.
std::string alias_of(const std::string& spelling, const PathLookup& found) {
  std::string alias = normalize_path_prefix(spelling).path;
  if (alias == found.path) return {};
  const bool same = found.opaque_link || look_up_path(alias).path == found.path;
  return same ? alias : "";
}

// From the child and back: one field a NUL, which no path has.
std::string packed(const std::string& alias, const PathLookup& found) {
  std::string text = alias;
  for (const std::string& field :
       {found.path, std::to_string(found.error), found.stopped_at,
        std::string(found.opaque_link ? "1" : ""), std::string(found.process_link ? "1" : "")}) {
    text += '\0' + field;
  }
  return text;
}

std::pair<std::string, PathLookup> unpacked(std::string_view text) {
  const auto next = [&text] {
    const std::size_t end = std::min(text.find('\0'), text.size());
    std::string field(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return field;
  };
  std::string alias = next();
  PathLookup found;
  found.path = next();
  found.error = static_cast<int>(std::strtol(next().c_str(), nullptr, 10));
  found.stopped_at = next();
  found.opaque_link = !next().empty();
  found.process_link = !next().empty();
  return {std::move(alias), std::move(found)};
}

}  // namespace

std::string absolute_path(const std::string& text, std::string& problem) {
  std::string here;
  if (!text.empty() && !text.starts_with('/')) {
    std::error_code error;
    here = fs::current_path(error).native();
    if (error) {
      problem = "cannot make " + escape_bytes(text) + " absolute: the working directory is gone (" +
                error.message() + "): give an absolute path";
      return {};
    }
  }
  NormalizedPath normal = normalize_path_prefix(text.empty() ? text : spelled_from(here, text));
  problem = std::move(normal.problem);
  return std::move(normal.path);
}

ResolvedPath path_as_written(const std::string& text) {
  ResolvedPath path;
  path.path = absolute_path(text, path.problem);
  return path;
}

ResolvedPath resolve_path(const std::string& text, std::chrono::milliseconds limit) {
  ResolvedPath resolved;
  std::string problem;
  const std::string written = absolute_path(text, problem);
  std::error_code error;
  const std::string here = fs::current_path(error).native();
  const std::string shown = text.starts_with('/') ? "" : shells_directory();
  const auto looked = run_in_child(
      [&] {
        const bool as_shown = !shown.empty() && shown != here && is_working_directory(shown);
        const std::string spelling = spelled_from(as_shown ? shown : here, text);
        const PathLookup found = look_up_path(spelling);
        return packed(alias_of(spelling, found), found);
      },
      limit);
  resolved.path = written;
  if (!looked) {
    resolved.problem = say_unresolved(written, "its file system does not answer",
                                      "repair or unmount that file system");
    return resolved;
  }
  auto [alias, found] = unpacked(*looked);
  NormalizedPath canonical = normalize_path_prefix(found.path);
  resolved.problem = problem_of(written, found, canonical.problem);
  if (!resolved.problem.empty()) return resolved;
  resolved.path = std::move(canonical.path);
  if (alias != resolved.path) resolved.alias = std::move(alias);
  if (found.error == ENOENT) resolved.warnings.push_back(say_missing(text, resolved.path));
  return resolved;
}

}  // namespace muster::ctl
