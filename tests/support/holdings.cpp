#include "support/holdings.h"

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>
#include <unistd.h>

namespace muster::test {
namespace {

namespace fs = std::filesystem;

// The directory itself is open while it is read, and points to itself.
std::map<int, std::string> descriptors_in(const fs::path& directory, const std::string& itself) {
  std::map<int, std::string> found;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    const auto target = fs::read_symlink(at->path(), gone);
    if (gone || target.native() == itself) continue;
    found.emplace(std::stoi(at->path().filename().native()), target.native());
  }
  return found;
}

// "sleep (running)", from "4711 (sleep) S ...".
std::string describe(pid_t pid) {
  std::string line;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/stat"), line);
  const auto open = line.find('(');
  const auto close = line.rfind(')');
  if (open == std::string::npos || close + 2 >= line.size()) return "gone";
  return line.substr(open + 1, close - open - 1) +
         (line[close + 2] == 'Z' ? " (zombie)" : " (runs)");
}

// Each thread has the children that it made.
std::map<pid_t, std::string> children_of(const fs::path& tasks) {
  std::map<pid_t, std::string> found;
  std::error_code error;
  for (fs::directory_iterator at(tasks, error), end; !error && at != end; at.increment(error)) {
    std::ifstream children(at->path() / "children");
    for (pid_t child = 0; children >> child;) found.emplace(child, describe(child));
  }
  return found;
}

void tell(std::string& text, const char* kind, int number, const std::string& what) {
  if (!text.empty()) text += '\n';
  text += kind + std::to_string(number) + ": " + what;
}

}  // namespace

Holdings holdings_of(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  Holdings held{descriptors_in(process + "/fd", process + "/fd"), children_of(process + "/task")};
  // A broker's history: opened when it is first written, and again after a failure.
  std::set<std::string> of_history;
  std::erase_if(held.descriptors, [&](const auto& one) {
    const std::string name = fs::path(one.second).filename();
    return name.starts_with("history.db") && of_history.insert(name).second;
  });
  return held;
}

Holdings own_holdings() { return holdings_of(::getpid()); }

std::string leaked(const Holdings& before, const Holdings& after) {
  std::string text;
  for (const auto& [number, what] : after.descriptors) {
    const auto old = before.descriptors.find(number);
    if (old == before.descriptors.end() || old->second != what)
      tell(text, "descriptor ", number, what);
  }
  for (const auto& [pid, what] : after.children) {
    if (!before.children.contains(pid)) tell(text, "child ", pid, what);
  }
  return text;
}

}  // namespace muster::test
