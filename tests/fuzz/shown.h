// What a sentence that quotes hostile bytes must be: fit for a terminal and a line of a log.
#pragma once

#include <algorithm>
#include <string_view>

#include "fuzz/targets.h"
#include "model/characters.h"

namespace muster::fuzz {

inline void must_be_fit_to_show(std::string_view sentence) {
  must(!sentence.empty(), "a problem is told in words");
  must(std::none_of(sentence.begin(), sentence.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
       "a sentence has no controls");
  while (!sentence.empty()) {
    const auto character = utf8::first(sentence);
    must(character.valid, "a sentence is UTF-8");
    sentence.remove_prefix(character.bytes);
  }
}

}  // namespace muster::fuzz
