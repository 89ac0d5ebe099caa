#include "muster/path.h"

#include <algorithm>
#include <vector>

namespace muster {
namespace {

constexpr std::size_t kShownPath = 200;  // bytes of a bad path in a sentence

NormalizedPath refused_path(std::string sentence) { return {{}, std::move(sentence)}; }

}  // namespace

NormalizedPath normalize_path_prefix(std::string_view path) {
  if (path.empty())
    return refused_path("the path is empty; give an absolute one, like /var/cache/x");
  if (path.find('\0') != std::string_view::npos) {
    return refused_path("the path " + quote_start(path, kShownPath) +
                        " has a NUL byte, which no file name can have");
  }
  if (path.front() != '/') {
    return refused_path("the path " + quote_start(path, kShownPath) +
                        " is relative; give an absolute one, like /" +
                        escape_bytes(path.substr(0, 80)));
  }
  if (path.size() > kMaxPathBytes) {
    return refused_path("the path has " + std::to_string(path.size()) + " bytes; the most is " +
                        std::to_string(kMaxPathBytes));
  }
  std::vector<std::string_view> kept;
  for (std::size_t at = 1; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto component = path.substr(at, end - at);
    at = end + 1;
    if (component == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!component.empty() && component != ".") {
      kept.push_back(component);
    }
  }
  std::string normal;
  for (const auto component : kept) normal.append(1, '/').append(component);
  if (normal.empty()) normal = "/";
  return {std::move(normal), {}};
}

bool path_is_under(std::string_view prefix, std::string_view path) {
  if (!prefix.starts_with('/') || !path.starts_with('/')) return false;
  if (prefix == "/") return true;
  if (!path.starts_with(prefix)) return false;
  return path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace muster
