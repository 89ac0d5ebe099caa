#include "bench/json_writer.h"

#include <cmath>
#include <utility>

#include "bench/text.h"
#include "model/characters.h"

namespace muster::bench {
namespace {

constexpr std::size_t kLevelsWithLines = 2;

}  // namespace

JsonWriter& JsonWriter::open(char begin, char end) {
  separate();
  out_ += begin;
  levels_.push_back({end});
  return *this;
}

JsonWriter& JsonWriter::end() {
  const Level level = levels_.back();
  levels_.pop_back();
  if (!level.is_empty && levels_.size() < kLevelsWithLines) {
    out_ += '\n';
    out_.append(2 * levels_.size(), ' ');
  }
  out_ += level.end;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_json_string(out_, name);
  out_ += ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_json_string(out_, text);
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  return raw(std::isfinite(number) ? format("%.6g", number) : "null");
}

JsonWriter& JsonWriter::raw(std::string_view text) {
  separate();
  out_ += text;
  return *this;
}

void JsonWriter::separate() {
  if (std::exchange(after_key_, false) || levels_.empty()) return;
  Level& level = levels_.back();
  if (!std::exchange(level.is_empty, false)) out_ += ',';
  if (levels_.size() <= kLevelsWithLines) {
    out_ += '\n';
    out_.append(2 * levels_.size(), ' ');
  } else if (out_.back() == ',') {
    out_ += ' ';
  }
}

std::string JsonWriter::take() {
  out_ += '\n';
  return std::exchange(out_, {});
}

}  // namespace muster::bench
