#include "musterd/state/id_mark.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "musterd/state/durable_file.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

constexpr std::string_view kHead = "muster broadcast ids 1\nfirst ";
constexpr std::string_view kMiddle = "\nnext ";
// A mark so high that counting on from it could overflow is no mark of ours.
constexpr BroadcastId kHighest = BroadcastId{1} << 62U;

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

bool take(std::string_view& text, BroadcastId& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string format_mark(IdMark mark) {
  return fmt::format("{}{}{}{}\n", kHead, mark.first, kMiddle, mark.next);
}

std::optional<IdMark> parse_mark(std::string_view text) {
  IdMark mark;
  const bool good = take(text, kHead) && take(text, mark.first) && take(text, kMiddle) &&
                    take(text, mark.next) && text == "\n";
  if (!good || mark.first == 0 || mark.first > mark.next || mark.next > kHighest) {
    return std::nullopt;
  }
  return mark;
}

ReadMark read_mark(const std::filesystem::path& directory) {
  const auto path = directory / kIdFileName;
  // Not waiting: whatever stands there, it may not hold up the start.
  const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return {};
    return {std::nullopt, failed_to("cannot be read", errno)};
  }
  std::array<char, 256> text{};
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return {std::nullopt, failed_to("cannot be read", errno)};
  const auto mark = parse_mark({text.data(), static_cast<std::size_t>(got)});
  if (!mark) return {std::nullopt, "is damaged"};
  return {mark, {}};
}

std::string write_mark(const std::filesystem::path& directory, IdMark mark) {
  return replace_durably(directory, std::string(kIdFileName), format_mark(mark)).problem;
}

}  // namespace muster::daemon
