// musterd's configuration file.
#include <string>
#include <string_view>

#include "config/config_file.h"
#include "fuzz/shown.h"
#include "fuzz/targets.h"

namespace muster::fuzz {

void config(std::string_view input) {
  daemon::Settings settings;
  const auto errors = daemon::parse_config(input, settings);
  std::uint32_t line = 0;
  for (const auto& error : errors) {
    must_be_fit_to_show(error.text);
    must_be_fit_to_show(daemon::to_string(error, "musterd.toml"));
    must(error.line >= line, "mistakes are told in the order of the text");
    line = error.line;
  }
  if (!errors.empty()) return;
  daemon::Settings again;
  must(daemon::parse_config(input, again).empty(), "what was good is good");
  must(settings.broker.ack_timeout <= settings.broker.max_ack_timeout,
       "a configuration that contradicts itself is no good one");
}

}  // namespace muster::fuzz
