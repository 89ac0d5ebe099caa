#include "musterd/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace muster::daemon {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 4> kSizeUnits{
    {{"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"B", 1}}};

// The digits at the beginning of `text`, which it loses.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool add_product(std::uint64_t& sum, std::uint64_t number, std::uint64_t factor) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (number > (kMax - sum) / factor) return false;
  sum += number * factor;
  return true;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto number = take_number(text);
  std::uint64_t bytes = 0;
  for (const Unit& unit : kSizeUnits) {
    if (number && text == unit.name && add_product(bytes, *number, unit.factor)) return bytes;
  }
  return std::nullopt;
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    if (bytes % unit.factor == 0 && (bytes != 0 || unit.factor == 1)) {
      return std::to_string(bytes / unit.factor).append(unit.name);
    }
  }
  return std::to_string(bytes) + 'B';
}

std::optional<mode_t> parse_mode(std::string_view text) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.size() < 3 || text.size() > 4 || mode > 0777) return std::nullopt;
  return static_cast<mode_t>(mode);
}

std::string missing_account(std::string_view what, std::string_view name, std::string_view shown) {
  std::string text = fmt::format("names the {} {}, which this host does not have", what, shown);
  if (name == "muster") text += "; once Muster is installed, `systemd-sysusers` makes it";
  return text;
}

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < b.size(); ++j) {
        const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
      }
    }
    return row.back();
  };

  std::string_view best;
  std::size_t least = 3;
  for (const std::string_view candidate : known) {
    const std::size_t longer = std::max(word.size(), candidate.size());
    const std::size_t shorter = std::min(word.size(), candidate.size());
    if (longer - shorter >= least) continue;  // also keeps a huge word from costing time
    const std::size_t errors = distance(word, candidate);
    if (errors < least && errors * 2 < candidate.size()) {
      least = errors;
      best = candidate;
    }
  }
  return best;
}

}  // namespace muster::daemon
