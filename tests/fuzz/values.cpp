// Durations, sizes and modes as people write them, in the configuration and on the command line.
#include "musterd/config/values.h"

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "muster/backend_key.h"

#include "fuzz/shown.h"
#include "fuzz/targets.h"
#include "model/time_text.h"
#include "musterctl/text.h"

namespace muster::fuzz {
namespace {

void check_command_line(std::string_view text) {
  const auto duration =
      parse_duration(text, std::chrono::milliseconds(1), std::chrono::hours(49 * 24));
  if (!duration.problem.empty()) {
    must_be_fit_to_show(duration.problem);
    return;
  }
  must(duration.value.count() > 0, "a duration of the command line is positive");
  must(duration.value.count() <= 0xFFFF'FFFF, "a duration fits into the wire's 32 bits");
  must_be_fit_to_show(ctl::show_exactly(duration.value));
  must_be_fit_to_show(ctl::show_measured(duration.value));
}

void check_configuration(std::string_view text) {
  if (const auto duration = parse_duration(text); duration.problem.empty()) {
    must(duration.value.count() >= 0, "a duration is not negative");
    must(parse_duration(format_duration(duration.value)).value == duration.value,
         "a duration that is shown is read back");
  }
  if (const auto size = daemon::parse_size(text)) {
    must(daemon::parse_size(daemon::format_size(*size)) == size, "a size is read back");
  }
  if (const auto mode = daemon::parse_mode(text)) must(*mode <= 0777, "a mode is permission bits");
  static constexpr std::array<std::string_view, 3> kKnown{"ack_timeout", "connections", "x"};
  (void)daemon::nearest_word(text, kKnown);
}

void check_key(std::string_view text) {
  if (const auto instance = Instance::parse(text)) {
    must(Instance::parse(instance->to_string()) == instance, "an instance is read back");
  }
  BackendKey key;
  key.service_name = text;
  key.service_version = text;
  key.replica = text;
  const auto problem = key.problem();
  must_be_fit_to_show(problem ? *problem : key.to_string());
}

}  // namespace

void values(std::string_view input) {
  check_command_line(input);
  check_configuration(input);
  check_key(input);
}

}  // namespace muster::fuzz
