#include "simulator/step.h"

#include <algorithm>
#include <charconv>

namespace muster::simulator {
namespace {

struct Spec {
  std::string_view name;
  std::array<std::string_view, 10> args{};
};

// In the order of StepKind.
constexpr std::array<Spec, kStepKinds> kSpecs = {{
    {"connect", {"connection", "process"}},
    {"register", {"connection", "key", "ack", "idle", "flags"}},
    {"ack", {"connection", "id"}},
    {"fail", {"connection", "id", "reason"}},
    {"working", {"connection", "id", "extend", "percent"}},
    {"activity", {"connection"}},
    {"deregister", {"connection"}},
    {"garbage", {"connection"}},
    {"read", {"connection", "most"}},
    {"close", {"connection"}},
    {"half_close", {"connection"}},
    {"exit", {"process", "child"}},
    {"deliver", {"connection"}},
    {"gone", {"connection"}},
    {"fire", {"which"}},
    {"stale", {"which"}},
    {"bogus", {"slot", "generation"}},
    {"ghost", {"connection", "what"}},
    {"advance", {"us"}},
    {"jump", {"ms"}},
    {"start",
     {"id", "operation", "ack", "selection", "key", "by", "deadline", "verify", "hold", "ttl"}},
    {"dry_run", {"operation", "selection"}},
    {"cancel", {"id"}},
    {"report", {"id"}},
    {"list", {"selection"}},
    {"watch", {"on"}},
    {"shut_down", {"restart"}},
    {"restart", {"keep", "no_roster", "in"}},
    {"resume", {"id", "selection"}},
    {"forget", {"key"}},
    {"shortage", {"on"}},
    {"accept", {"most"}},
    {"save", {}},
    {"forget_missed", {}},
    {"forget_unseen", {}},
    {"scanned", {"id", "verdict", "holders", "busy"}},
    {"end_hold", {"id"}},
    {"hold_left", {"id"}},
    {"keep_hold", {"id", "user", "detach"}},
}};

std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

}  // namespace

std::string to_string(const Step& step) {
  const auto& spec = kSpecs[static_cast<std::size_t>(step.kind)];
  std::string text(spec.name);
  for (std::size_t i = 0; i < spec.args.size() && !spec.args[i].empty(); ++i) {
    text.append(1, ' ').append(spec.args[i]).append(1, '=').append(std::to_string(step.args[i]));
  }
  return text;
}

std::optional<NamedNumber> take_named_number(std::string_view& text) {
  auto rest = text;
  const auto word = take_word(rest);
  const auto equals = word.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  NamedNumber found{word.substr(0, equals), 0};
  const auto digits = word.substr(equals + 1);
  const auto* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, found.number);
  if (error != std::errc{} || stop != end || digits.empty()) return std::nullopt;
  text = rest;
  return found;
}

std::optional<Step> parse_step(std::string_view line) {
  const auto name = take_word(line);
  const auto spec = std::find_if(kSpecs.begin(), kSpecs.end(),
                                 [&](const Spec& known) { return known.name == name; });
  if (spec == kSpecs.end()) return std::nullopt;
  Step step;
  step.kind = static_cast<StepKind>(spec - kSpecs.begin());
  for (std::size_t i = 0; i < spec->args.size() && !spec->args[i].empty(); ++i) {
    // What scripts were written without means 0.
    const auto& name_of_it = spec->args[i];
    const bool is_later = name_of_it == "deadline" || name_of_it == "restart" ||
                          name_of_it == "no_roster" || name_of_it == "in" ||
                          name_of_it == "verify" || name_of_it == "hold" || name_of_it == "ttl";
    if (is_later && line.find_first_not_of(' ') == std::string_view::npos) break;
    const auto argument = take_named_number(line);
    if (!argument || argument->name != spec->args[i]) return std::nullopt;
    step.args[i] = argument->number;
  }
  return take_word(line).empty() ? std::optional(step) : std::nullopt;
}

}  // namespace muster::simulator
