#include "fake_backend/behaviour.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "muster/text.h"

#include "fake_backend/duration.h"
#include "fake_backend/garbage.h"

namespace muster::fake {
namespace {

using std::chrono::milliseconds;

// What may stand behind the name. "Maybe": what is left out has the default of the table.
enum class Takes {
  kNothing,
  kDelay,
  kMaybeDelay,
  kDelayAndCount,
  kMaybeCount,
  kMaybeText,
  kGarbage
};

struct Entry {
  std::string_view name;
  std::string_view arguments;  // as shown
  Act act;
  Takes takes;
  std::string_view what;
  milliseconds delay{};
  std::uint32_t count = 0;
};

constexpr std::array kTable{
    Entry{"ack", "", Act::kAck, Takes::kNothing, "acks at once"},
    Entry{"ack-after", ":D", Act::kAckAfter, Takes::kDelay, "acks D later"},
    Entry{"silent", "", Act::kSilent, Takes::kNothing, "never answers"},
    Entry{"reject", "[:TEXT]", Act::kReject, Takes::kMaybeText, "answers Rejected"},
    Entry{"unsupported", "[:TEXT]", Act::kUnsupported, Takes::kMaybeText,
          "answers UnsupportedOperation"},
    Entry{"error", "[:TEXT]", Act::kError, Takes::kMaybeText, "answers BackendError"},
    Entry{"work", ":D:N", Act::kWork, Takes::kDelayAndCount,
          "asks for D more, N times, D/2 apart, then acks"},
    Entry{"work-forever", ":D", Act::kWorkForever, Takes::kDelay,
          "asks for D more every D/2 until it is cancelled"},
    Entry{"exit", "", Act::kExit, Takes::kNothing, "the process exits without an answer"},
    Entry{"crash", "", Act::kCrash, Takes::kNothing, "the process kills itself with SIGKILL"},
    Entry{"stop", "", Act::kStop, Takes::kNothing, "the process stops itself with SIGSTOP"},
    Entry{"drop", "", Act::kDrop, Takes::kNothing, "closes and stays away; the process lives"},
    Entry{"drop-return", "[:D]", Act::kDropReturn, Takes::kMaybeDelay,
          "closes, comes back at once or D later with the same key, acks what is sent again"},
    Entry{"ack-drop", "", Act::kAckDrop, Takes::kNothing, "acks, closes and stays away"},
    Entry{"second-connection", "", Act::kSecondConnection, Takes::kNothing,
          "registers its key on a second connection, acks what is sent again"},
    Entry{"deregister", "", Act::kDeregister, Takes::kNothing,
          "deregisters instead of an answer and stays away"},
    Entry{"half-close", "", Act::kHalfClose, Takes::kNothing,
          "shuts its sending side, goes on reading"},
    Entry{"fork-hold", "", Act::kForkHold, Takes::kNothing,
          "a child keeps the socket open and says nothing; the process exits"},
    Entry{"stop-reading", "", Act::kStopReading, Takes::kNothing, "never reads again"},
    Entry{"garbage", "[:KIND]", Act::kGarbage, Takes::kGarbage,
          "sends what is against the wire and stays away; KIND is bytes, framing, body, length,\n"
          "                      huge, lane, version, encoding, kind, message or register"},
    Entry{"half-frame", "", Act::kHalfFrame, Takes::kNothing, "sends the first half of an ack"},
    Entry{"byte-by-byte", "[:D]", Act::kByteByByte, Takes::kMaybeDelay,
          "acks, one byte every D (1ms)", milliseconds(1)},
    Entry{"twice", "", Act::kTwice, Takes::kNothing, "acks twice"},
    Entry{"late", ":D", Act::kLate, Takes::kDelay, "acks D after its time was over"},
    Entry{"unknown-id", "", Act::kUnknownId, Takes::kNothing,
          "acks a broadcast that was never sent, then the right one"},
    Entry{"flood", "[:N]", Act::kFlood, Takes::kMaybeCount,
          "sends N (10000) Activity messages, then acks", milliseconds(0), 10'000},
};

std::optional<std::uint32_t> parse_count(std::string_view text) {
  std::uint32_t count = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || rest != end || count == 0 || count > 1'000'000) return std::nullopt;
  return count;
}

// One sentence when `arguments` (what stands behind the colon, if there is one) does not suit.
std::string read_arguments(const Entry& entry, std::optional<std::string_view> arguments,
                           Behaviour& out) {
  const std::string usage =
      "write " + std::string(entry.name) + std::string(entry.arguments) + ", D like 200ms or 2s";
  const auto read_delay = [&](std::string_view text) {
    const auto delay = read_duration(text);
    if (delay) out.delay = *delay;
    return delay ? std::string() : quote(text) + " is no duration: " + usage;
  };
  const auto read_count = [&](std::string_view text) {
    const auto count = parse_count(text);
    if (count) out.count = *count;
    return count ? std::string() : quote(text) + " is no count from 1 to 1000000: " + usage;
  };

  switch (entry.takes) {
    case Takes::kNothing:
      if (!arguments) return {};
      return quote(entry.name) + " takes nothing behind a colon";
    case Takes::kMaybeText:
      if (arguments) out.text = *arguments;
      return {};
    case Takes::kGarbage:
      out.text = arguments.value_or("bytes");
      if (is_garbage_kind(out.text)) return {};
      return quote(out.text) + " is no kind of garbage: see --help";
    case Takes::kMaybeCount:
      return arguments ? read_count(*arguments) : std::string();
    case Takes::kMaybeDelay:
      return arguments ? read_delay(*arguments) : std::string();
    case Takes::kDelay:
      return read_delay(arguments.value_or(""));
    case Takes::kDelayAndCount: {
      const std::string_view both = arguments.value_or("");
      const std::size_t colon = both.find(':');
      if (colon == std::string_view::npos) return quote(entry.name) + " needs two: " + usage;
      std::string problem = read_delay(both.substr(0, colon));
      return problem.empty() ? read_count(both.substr(colon + 1)) : problem;
    }
  }
  return {};
}

}  // namespace

Behaviour::Parsed Behaviour::parse(std::string_view text) {
  Parsed parsed;
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto* entry = std::find_if(kTable.begin(), kTable.end(),
                                   [&](const Entry& each) { return each.name == name; });
  if (entry == kTable.end()) {
    parsed.problem = quote(name) + " is no behaviour: see --help for all of them";
    return parsed;
  }
  parsed.behaviour.act = entry->act;
  parsed.behaviour.delay = entry->delay;
  parsed.behaviour.count = entry->count;
  std::optional<std::string_view> arguments;
  if (colon != std::string_view::npos) arguments = text.substr(colon + 1);
  parsed.problem = read_arguments(*entry, arguments, parsed.behaviour);
  return parsed;
}

std::string behaviours_help() {
  std::string help = "Behaviours (D is a duration like 200ms or 2s):\n";
  for (const Entry& entry : kTable) {
    std::string left = "  " + std::string(entry.name) + std::string(entry.arguments);
    left.resize(std::max<std::size_t>(left.size() + 1, 22), ' ');
    help += left + std::string(entry.what) + "\n";
  }
  return help;
}

}  // namespace muster::fake
