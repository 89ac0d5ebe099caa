// Text for people: columns on a terminal, plurals, local time. Pure, but for the time zone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "muster/backend_key.h"

#include "model/characters.h"

namespace muster::ctl {

using characters::columns_of;
// `text`, cut with "..." if it would take more than `columns`.
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);
// Appends spaces until `text` takes `columns`.
[[nodiscard]] std::string padded(std::string text, std::size_t columns);

// "1 backend", "3 backends".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view what);
// A key, safe for a terminal.
[[nodiscard]] std::string shown(const BackendKey& key);

// "14:02:11" when that is on the same local day as `now`, else "2024-03-01 14:02:11".
[[nodiscard]] std::string local_time(std::uint64_t unix_ms, std::uint64_t now_unix_ms);
// "14:02:11.123": for lines that are written as things happen.
[[nodiscard]] std::string local_time_of_day(std::uint64_t unix_ms);
[[nodiscard]] std::uint64_t unix_ms_now();

}  // namespace muster::ctl
