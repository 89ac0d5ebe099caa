// The path normaliser and the cover test against an oracle that knows components only.
//
// Input: two paths, a newline between.
#include <string>
#include <string_view>
#include <vector>

#include "muster/path.h"

#include "fuzz/shown.h"
#include "fuzz/targets.h"

namespace muster::fuzz {
namespace {

using Components = std::vector<std::string>;

// REQUIRES: absolute.
Components components_of(std::string_view path) {
  Components found;
  std::string component;
  for (const char c : std::string(path.substr(1)) + '/') {
    if (c != '/') {
      component += c;
      continue;
    }
    if (component == "..") {
      if (!found.empty()) found.pop_back();
    } else if (!component.empty() && component != ".") {
      found.push_back(component);
    }
    component.clear();
  }
  return found;
}

std::string joined(const Components& components) {
  std::string path;
  for (const auto& component : components) path += '/' + component;
  return path.empty() ? "/" : path;
}

std::string checked(std::string_view path) {
  auto normal = normalize_path_prefix(path);
  const bool good = path.starts_with('/') && path.find('\0') == std::string_view::npos &&
                    path.size() <= kMaxPathBytes;
  must(good == normal.problem.empty(), "refused is what is not absolute, too long or has a NUL");
  if (!good) {
    must_be_fit_to_show(normal.problem);
    must(normal.path.empty(), "a path that is refused comes to nothing");
    return {};
  }
  must(normal.path == joined(components_of(path)), "normal is the path of what its parts leave");
  must(normal.path.size() <= path.size(), "normal is never longer");
  must(normalize_path_prefix(normal.path).path == normal.path, "normal stays normal");
  return std::move(normal.path);
}

void check_cover(const std::string& prefix, const std::string& path) {
  if (prefix.empty() || path.empty()) {
    must(!path_is_under(prefix, path), "nothing that is refused covers or is covered");
    return;
  }
  const auto above = components_of(prefix);
  const auto below = components_of(path);
  const bool should =
      above.size() <= below.size() && std::equal(above.begin(), above.end(), below.begin());
  must(path_is_under(prefix, path) == should, "a path covers by whole components");
}

void check_escape(std::string_view bytes) {
  const auto text = escape_bytes(bytes);
  if (!text.empty()) must_be_fit_to_show(text);
  const auto quoted = quote(bytes);
  must_be_fit_to_show(quoted);
  must(unquote(quoted) == bytes, "what was quoted can be told back");
  if (bytes.find('"') == std::string_view::npos) {
    must(quoted == '"' + text + '"', "escaped and quoted text differ in quotes only");
  }
  if (const auto read = unquote(bytes)) must(quote(*read) == bytes, "only quoted text is read");
  const auto word = quote_if_needed(bytes);
  must(word == bytes || word == quoted, "a word is plain or quoted");
  const auto sentence = escape_controls(bytes);
  if (!sentence.empty()) must_be_fit_to_show(sentence);
}

}  // namespace

void paths(std::string_view input) {
  const auto cut = input.find('\n');
  const auto first = input.substr(0, cut);
  const auto second = cut == std::string_view::npos ? std::string_view() : input.substr(cut + 1);
  (void)path_is_under(first, second);
  const auto one = checked(first);
  const auto other = checked(second);
  check_cover(one, other);
  check_cover(other, one);
  check_cover(one, one);
  check_escape(input);
}

}  // namespace muster::fuzz
