// The file that keeps broadcast ids unique across restarts.
//
//   muster broadcast ids 1
//   first 1764000000       the first id that was ever given out with this directory
//   next 1764001024        no id from here on was given out
//
// It is replaced as a whole, never written in place. Blocking; any thread, one at a time for one
// directory.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "muster/registration.h"

namespace muster::daemon {

inline constexpr std::string_view kIdFileName = "broadcast-ids";

struct IdMark {
  BroadcastId first = 0;
  BroadcastId next = 0;

  friend bool operator==(const IdMark&, const IdMark&) = default;
};

[[nodiscard]] std::string format_mark(IdMark mark);
// Nothing when the text is anything else than what format_mark() makes.
[[nodiscard]] std::optional<IdMark> parse_mark(std::string_view text);

struct ReadMark {
  std::optional<IdMark> mark;  // nothing: no file, or a bad one
  std::string problem;         // what is wrong with a file that is there; a sentence's end
};
[[nodiscard]] ReadMark read_mark(const std::filesystem::path& directory);

// Replaces the file, durably. Empty when it went well, else why not.
[[nodiscard]] std::string write_mark(const std::filesystem::path& directory, IdMark mark);

}  // namespace muster::daemon
