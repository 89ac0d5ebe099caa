// Writes JSON, one value after the other. Lists and objects down to the second level have a line
// for each member; what is deeper stands on one line.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::bench {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{', '}'); }
  JsonWriter& begin_array() { return open('[', ']'); }
  JsonWriter& end();
  // Before each member of an object.
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  // Six significant digits; null when it is not finite.
  JsonWriter& value(double number);
  JsonWriter& value(std::integral auto number) { return raw(std::to_string(number)); }
  JsonWriter& value(bool) = delete;

  template <typename Value>
  JsonWriter& member(std::string_view name, const Value& what) {
    return key(name).value(what);
  }

  // REQUIRES: everything was ended.
  [[nodiscard]] std::string take();

 private:
  JsonWriter& open(char begin, char end);
  JsonWriter& raw(std::string_view text);
  void separate();

  struct Level {
    char end = 0;
    bool is_empty = true;
  };
  std::string out_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

}  // namespace muster::bench
