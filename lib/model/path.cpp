#include "muster/path.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "model/utf8.h"

namespace muster {
namespace {

std::string shown(std::string_view path) {
  constexpr std::size_t kShown = 200;
  auto text = escape_bytes(path.substr(0, kShown));
  if (path.size() > kShown) text += "...";
  return '"' + text + '"';
}

NormalizedPath refused_path(std::string sentence) { return {{}, std::move(sentence)}; }

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// What a terminal obeys instead of showing it, and what cannot be seen or told from something else:
// controls (C0, DEL, C1), bidirectional controls, line and paragraph separators, blanks other than
// the space, and Unicode's default-ignorable characters. In ascending order.
constexpr std::array kUnshown = {
    Range{0x0, 0x1f},        Range{0x7f, 0xa0},      Range{0xad, 0xad},     Range{0x34f, 0x34f},
    Range{0x61c, 0x61c},     Range{0x115f, 0x1160},  Range{0x1680, 0x1680}, Range{0x17b4, 0x17b5},
    Range{0x180b, 0x180f},   Range{0x2000, 0x200f},  Range{0x2028, 0x202f}, Range{0x205f, 0x206f},
    Range{0x2800, 0x2800},   Range{0x3000, 0x3000},  Range{0x3164, 0x3164}, Range{0xfe00, 0xfe0f},
    Range{0xfeff, 0xfeff},   Range{0xffa0, 0xffa0},  Range{0xfff0, 0xfffb}, Range{0x1bca0, 0x1bca3},
    Range{0x1d173, 0x1d17a}, Range{0xe0000, 0xe0fff}};

bool is_shown(std::uint32_t code_point) {
  const auto range = std::lower_bound(kUnshown.begin(), kUnshown.end(), code_point,
                                      [](const Range& r, std::uint32_t c) { return r.last < c; });
  return range == kUnshown.end() || code_point < range->first;
}

void append_escaped(std::string& out, std::string_view bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    out += "\\x";
    out += kHex[byte >> 4U];
    out += kHex[byte & 0xfU];
  }
}

}  // namespace

NormalizedPath normalize_path_prefix(std::string_view path) {
  if (path.empty())
    return refused_path("the path is empty; give an absolute one, like /var/cache/x");
  if (path.find('\0') != std::string_view::npos) {
    return refused_path("the path " + shown(path) + " has a NUL byte, which no file name can have");
  }
  if (path.front() != '/') {
    return refused_path("the path " + shown(path) + " is relative; give an absolute one, like /" +
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

namespace {

std::string escape(std::string_view bytes, bool backslashes) {
  std::string out;
  out.reserve(bytes.size());
  for (;;) {
    // Nearly always all of it.
    const auto end = std::find_if(bytes.begin(), bytes.end(),
                                  [](char c) { return c < ' ' || c > '~' || c == '\\'; });
    const auto plain = static_cast<std::size_t>(end - bytes.begin());
    out += bytes.substr(0, plain);
    bytes.remove_prefix(plain);
    if (bytes.empty()) return out;
    const auto character = utf8::first(bytes);
    const auto text = bytes.substr(0, character.bytes);
    bytes.remove_prefix(character.bytes);
    if (!character.valid || !is_shown(character.code_point)) {
      append_escaped(out, text);
    } else if (backslashes && text == "\\") {
      out += "\\\\";
    } else {
      out += text;
    }
  }
}

}  // namespace

std::string escape_bytes(std::string_view bytes) { return escape(bytes, true); }

std::string escape_controls(std::string_view sentence) { return escape(sentence, false); }

}  // namespace muster
