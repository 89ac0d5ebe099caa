#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "muster/path.h"

#include "ctl/broadcast_run.h"
#include "ctl/command.h"

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

// Backends know paths by their beginning at "/", not by where an operator happens to stand.
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

class ReleaseHandlesCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "release-handles"; }
  [[nodiscard]] std::string summary() const override {
    return "Ask every backend to let go of all files below a path";
  }

  void declare(Options& options) override {
    options.argument("PATH", "The directory or file; a relative one is taken from here", true,
                     [this](const std::string& text) {
                       std::string problem;
                       path_ = make_absolute(text, problem);
                       return problem;
                     });
    options_.declare(options);
    options.epilogue(
        "Backends close what they have open at PATH or below it, by whole components: /mnt/a\n"
        "covers /mnt/a/x, never /mnt/ab. Every backend gets the request at the same time and has\n"
        "its own time to answer. Links are not followed: give the path that backends use.\n"
        "\n"
        "Examples:\n"
        "  musterctl release-handles /var/cache/x && rm -r /var/cache/x\n"
        "  musterctl release-handles --timeout 30s --select 'service=zcc*,label.tier=hot' /mnt/a\n"
        "  musterctl release-handles --json . | jq '.result.timeouts'\n"
        "  id=$(musterctl release-handles --detach /mnt/a); musterctl result --wait $id\n");
  }

  int run(const Invocation& invocation) override {
    return run_broadcast(invocation, options_, BroadcastOperation::release_handles(path_));
  }

 private:
  std::string path_;
  BroadcastOptions options_;
};

}  // namespace

std::unique_ptr<Command> release_handles_command() {
  return std::make_unique<ReleaseHandlesCommand>();
}

}  // namespace muster::ctl
