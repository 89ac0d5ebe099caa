#include "musterctl/resolve_path.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "muster/path.h"

#include "musterctl/bounded_child.h"
#include "musterctl/path_lookup.h"

namespace muster::ctl {
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
  return name + " does not exist: asking the backends all the same";
}

std::string say_unseen(const PathLookup& found) {
  return escape_bytes(found.path) + " cannot be resolved: " + escape_bytes(found.stopped_at) +
         ": " + std::generic_category().message(found.error) +
         ": asking the backends for it as written";
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
  for (const std::string& field : {found.path, std::to_string(found.error), found.stopped_at,
                                   std::string(found.opaque_link ? "1" : "")}) {
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
  if (!looked) {
    resolved.path = written;
    resolved.warnings.push_back(escape_bytes(written) +
                                " cannot be resolved: its file system does not answer: asking the "
                                "backends for it as written");
    return resolved;
  }
  auto [alias, found] = unpacked(*looked);
  NormalizedPath canonical = normalize_path_prefix(found.path);
  // What links lead to may be too long for a broker; the spelling is not.
  resolved.path = written;
  if (canonical.problem.empty()) resolved.path = std::move(canonical.path);
  if (alias != resolved.path) resolved.alias = std::move(alias);
  if (!canonical.problem.empty()) {
    resolved.warnings.push_back(escape_bytes(written) +
                                " cannot be resolved: " + canonical.problem);
  } else if (found.error == ENOENT) {
    resolved.warnings.push_back(say_missing(text, resolved.path));
  } else if (found.error != 0) {
    resolved.warnings.push_back(say_unseen(found));
  } else if (found.opaque_link) {
    resolved.warnings.push_back(escape_bytes(resolved.path) +
                                " leads through a link of the kernel that has no other name here: "
                                "asking the backends for it as written");
  }
  return resolved;
}

}  // namespace muster::ctl
