#include "support/wire_golden.h"

#include <cctype>
#include <fstream>
#include <stdexcept>

namespace muster::test {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  throw std::runtime_error(std::string("not a hexadecimal digit: ") + c);
}

void append_hex(std::string_view digits, std::string& out) {
  std::string pair;
  for (const char c : digits) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    pair += c;
    if (pair.size() < 2) continue;
    out += static_cast<char>(nibble(pair[0]) << 4 | nibble(pair[1]));
    pair.clear();
  }
  if (!pair.empty()) throw std::runtime_error("half a byte in: " + std::string(digits));
}

}  // namespace

GoldenFrames load_golden(std::string_view file_name) {
  const std::string path = MUSTER_TEST_DATA_DIR "/unit/golden/" + std::string(file_name);
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  GoldenFrames frames;
  std::string* frame = nullptr;
  for (std::string line; std::getline(file, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    if (line[0] != ' ') {
      const auto [entry, added] = frames.try_emplace(line);
      if (!added)
        throw std::runtime_error(std::string(path).append(" has this name twice: ").append(line));
      frame = &entry->second;
    } else if (frame != nullptr) {
      append_hex(line, *frame);
    } else {
      throw std::runtime_error(
          std::string(path).append(" has bytes without a name: ").append(line));
    }
  }
  return frames;
}

std::string golden_entry(std::string_view name, std::string_view frame) {
  constexpr char kDigits[] = "0123456789abcdef";
  constexpr std::size_t kBytesInLine = 32;
  std::string entry(name);
  for (std::size_t i = 0; i < frame.size(); ++i) {
    if (i % kBytesInLine == 0) entry += "\n  ";
    const auto byte = static_cast<unsigned char>(frame[i]);
    entry += kDigits[byte >> 4];
    entry += kDigits[byte & 0xF];
  }
  return entry + '\n';
}

}  // namespace muster::test
