// A broadcast in waves for an operator: a line for each wave, then one table of who did not ack or
// was not asked, and one sentence that is the answer. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/control_error.h"

#include "musterctl/report_text.h"
#include "musterctl/waves.h"

namespace muster::ctl {

// "wave 2 of 5"
[[nodiscard]] std::string wave_name(std::size_t number, std::size_t planned);
// "wave 2 of 5: 3 of 3 acked in 12 ms (broadcast 17)"
[[nodiscard]] std::string show_wave(std::size_t number, std::size_t planned,
                                    const WaveResult& result, const ReportStyle& style);
[[nodiscard]] std::string show_waves(const WavesReport& waves, const ReportStyle& style);

// Exit status and error of the JSON document.
struct WavesEnd {
  int status = 0;
  std::string error;  // JSON; empty: none
};
[[nodiscard]] std::string json_of_waves(const WavesReport& waves, const WavesEnd& end,
                                        const std::vector<std::string>& warnings);

}  // namespace muster::ctl
