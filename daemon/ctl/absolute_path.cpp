#include "ctl/absolute_path.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "muster/path.h"

namespace muster::ctl {
namespace {

namespace fs = std::filesystem;

// As the shell shows it: through the links by which the operator got there, as backends may have.
// Looks at the file system only where the two differ: it may be one that hangs.
fs::path working_directory(std::error_code& error) {
  fs::path here = fs::current_path(error);
  const char* const text = std::getenv("PWD");  // NOLINT(concurrency-mt-unsafe): one thread
  if (error || text == nullptr) return here;
  const fs::path shown(text);
  std::error_code other;
  const bool is_here = shown != here && shown.is_absolute() && shown == shown.lexically_normal() &&
                       fs::equivalent(shown, ".", other);
  return is_here ? shown : here;
}

// To the kernel, and to rm, ".." is the parent of what a link leads to. The broker and the backends
// look at the text alone. Where the two differ nobody can know what is meant.
bool means_another_place(const std::string& absolute) {
  const auto last = (absolute + '/').rfind("/../");
  if (last == std::string::npos) return false;
  const fs::path through(absolute.substr(0, last + 3));
  std::error_code error;
  const auto to_kernel = fs::weakly_canonical(through, error);
  if (error) return false;
  const auto as_text = fs::weakly_canonical(through.lexically_normal(), error);
  // With a "/" at the end, both of them.
  return !error && (to_kernel / "").lexically_normal() != (as_text / "").lexically_normal();
}

}  // namespace

std::string make_absolute(const std::string& path, std::string& problem) {
  std::string absolute = path;
  if (!path.empty() && path.front() != '/') {
    std::error_code error;
    const auto here = working_directory(error);
    if (error) {
      problem = "cannot make " + escape_bytes(path) + " absolute: the working directory is gone (" +
                error.message() + "): give an absolute path";
      return {};
    }
    absolute = here.native() + '/' + path;
  }
  if (means_another_place(absolute)) {
    problem = escape_bytes(path) +
              " has a \"..\" behind a link, so it is one place to the kernel " +
              "and another as text: give the path without \"..\"";
    return {};
  }
  NormalizedPath normal = normalize_path_prefix(absolute);
  problem = std::move(normal.problem);
  return std::move(normal.path);
}

}  // namespace muster::ctl
