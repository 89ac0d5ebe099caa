#include "support/log_reader.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <regex>
#include <stdexcept>

namespace muster::test {
namespace {

struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Takes from the beginning of a text; throws Malformed where the grammar does not go on.
class RecordCursor {
 public:
  explicit RecordCursor(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool sees(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool take(char c) {
    if (!sees(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void want(char c) {
    if (!take(c)) throw Malformed(std::string("no ") + c);
  }
  char any() {
    if (rest_.empty()) throw Malformed("it ends");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  std::string_view take_bytes(std::size_t count) {
    if (rest_.size() < count) throw Malformed("it ends");
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  // Up to one of `ends` or to the end.
  std::string_view until(std::string_view ends) {
    return take_bytes(std::min(rest_.find_first_of(ends), rest_.size()));
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

  unsigned hex(std::size_t digits, bool lower_only) {
    unsigned value = 0;
    for (const char c : take_bytes(digits)) {
      value *= 16;
      if (c >= '0' && c <= '9') {
        value += static_cast<unsigned>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value += static_cast<unsigned>(c - 'a') + 10;
      } else if (!lower_only && c >= 'A' && c <= 'F') {
        value += static_cast<unsigned>(c - 'A') + 10;
      } else {
        throw Malformed("not hexadecimal");
      }
    }
    return value;
  }

 private:
  std::string_view rest_;
};

bool is_raw_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

std::string take_quoted(RecordCursor& in) {
  std::string out;
  in.want('"');
  for (;;) {
    const char c = in.any();
    if (c == '"') return out;
    if (is_raw_control(c)) throw Malformed("a control between quotes");
    if (c != '\\') {
      out += c;
      continue;
    }
    const char kind = in.any();
    if (kind == '\\' || kind == '"') {
      out += kind;
    } else if (kind == 'x') {
      out += static_cast<char>(in.hex(2, true));
    } else {
      throw Malformed("an unknown escape");
    }
  }
}

std::string take_text_value(RecordCursor& in) {
  if (in.sees('"')) return take_quoted(in);
  const auto plain = in.until(" \"=,\\");
  if (plain.empty() || (!in.at_end() && !in.sees(' '))) throw Malformed("a bad plain value");
  return std::string(plain);
}

std::string take_text_message(RecordCursor& in) {
  if (in.sees('"')) return take_quoted(in);
  // Up to the first word that begins as a field does.
  static const std::regex kField("(^| )[a-z_]+=");
  const std::string rest(in.rest());
  std::smatch field;
  const bool found = std::regex_search(rest, field, kField);
  const auto end = found ? static_cast<std::size_t>(field.position()) : rest.size();
  if (end == 0) throw Malformed("no message");
  const auto message = in.take_bytes(end);
  if (message.find('\\') != std::string_view::npos) throw Malformed("a backslash in a message");
  if (std::any_of(message.begin(), message.end(), is_raw_control)) throw Malformed("a control");
  return std::string(message);
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80U | (c >> shift & 0x3fU)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0U | c >> 6U);
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0U | c >> 12U);
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xf0U | c >> 18U);
    tail(12), tail(6), tail(0);
  }
}

std::uint32_t take_json_code_point(RecordCursor& in) {
  const unsigned unit = in.hex(4, false);
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  if (unit > 0xdbff) throw Malformed("a low surrogate alone");
  in.want('\\'), in.want('u');
  const unsigned low = in.hex(4, false);
  if (low < 0xdc00 || low > 0xdfff) throw Malformed("a high surrogate alone");
  return 0x10000 + ((unit - 0xd800) << 10U) + (low - 0xdc00);
}

std::string take_json_string(RecordCursor& in) {
  static constexpr std::string_view kLetters = "\"\\/bfnrt";
  static constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  std::string out;
  in.want('"');
  for (;;) {
    const char c = in.any();
    if (c == '"') return out;
    if (static_cast<unsigned char>(c) < 0x20) throw Malformed("a control in a string");
    if (c != '\\') {
      out += c;
      continue;
    }
    const char kind = in.any();
    const auto letter = kLetters.find(kind);
    if (kind == 'u') {
      append_utf8(out, take_json_code_point(in));
    } else if (letter != std::string_view::npos) {
      out += kMeant[letter];
    } else {
      throw Malformed("an unknown escape");
    }
  }
}

std::string from_base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) throw Malformed("base64 comes in fours");
  std::string out;
  unsigned bits = 0;
  unsigned have = 0;
  for (const char c : text.substr(0, text.find('='))) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) throw Malformed("not base64");
    bits = bits << 6U | static_cast<unsigned>(digit);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out += static_cast<char>(bits >> have & 0xffU);
  }
  return out;
}

std::string take_json_value(RecordCursor& in) {
  if (in.sees('"')) return take_json_string(in);
  const auto number = in.until(",}");
  const bool good =
      !number.empty() && number.find_first_not_of("0123456789+-.e") == std::string_view::npos;
  if (!good) throw Malformed("neither a string nor a number");
  return std::string(number);
}

template <typename Take>
auto all_of_it(std::string_view text, Take take) -> std::optional<decltype(take(text))> {
  try {
    return take(text);
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<ReadRecord> read_text_record(std::string_view record) {
  return all_of_it(record, [](std::string_view text) {
    RecordCursor in(text);
    ReadRecord read;
    read.message = take_text_message(in);
    while (!in.at_end()) {
      in.want(' ');
      const std::string name(in.until("= \"\\"));
      if (name.empty()) throw Malformed("a field without a name");
      in.want('=');
      read.fields.emplace_back(name, take_text_value(in));
    }
    return read;
  });
}

std::optional<ReadRecord> read_json_record(std::string_view object) {
  return all_of_it(object, [](std::string_view text) {
    static constexpr std::string_view kBytes = "_bytes";
    RecordCursor in(text);
    ReadRecord read;
    std::vector<std::pair<std::string, std::string>> members;
    in.want('{');
    do {
      std::string name = take_json_string(in);
      in.want(':');
      std::string value = take_json_value(in);
      if (name.ends_with(kBytes)) {
        if (members.empty() || members.back().first.append(kBytes) != name) {
          throw Malformed("bytes of another member");
        }
        name.resize(name.size() - kBytes.size());
        members.back() = {std::move(name), from_base64(value)};
      } else {
        members.emplace_back(std::move(name), std::move(value));
      }
    } while (in.take(','));
    in.want('}');
    if (!in.at_end()) throw Malformed("something behind the object");
    for (auto& [name, value] : members) {
      if (name == "message") {
        read.message = std::move(value);
      } else {
        read.fields.emplace_back(std::move(name), std::move(value));
      }
    }
    return read;
  });
}

std::optional<std::string> read_quoted(std::string_view quoted) {
  return all_of_it(quoted, [](std::string_view text) {
    RecordCursor in(text);
    std::string out = take_quoted(in);
    if (!in.at_end()) throw Malformed("something behind the quotes");
    return out;
  });
}

std::optional<std::string> read_json_string(std::string_view quoted) {
  return all_of_it(quoted, [](std::string_view text) {
    RecordCursor in(text);
    std::string out = take_json_string(in);
    if (!in.at_end()) throw Malformed("something behind the quotes");
    return out;
  });
}

}  // namespace muster::test
