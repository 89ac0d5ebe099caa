#include "bench/table.h"

#include <cstdarg>
#include <cstdio>
#include <ostream>
#include <sstream>

namespace muster::bench {
namespace {

const char* name_of(Mode mode) {
  return mode == Mode::kOneProcess ? "one process" : "a process each";
}

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof(text), pattern, arguments);
  va_end(arguments);
  return text;
}

// Three significant digits, whatever the size.
std::string milliseconds(double value) {
  return format(value < 1 ? "%.3f" : value < 10 ? "%.2f" : "%.1f", value);
}

std::string thousands(double value) { return value > 0 ? format("%.1fk", value / 1e3) : "-"; }

void put(std::ostream& out, const Measured& measured) {
  out << format(
      "{\"median_ms\": %.6f, \"p99_ms\": %.6f, \"cpu_us_each\": %.4f, \"idle_bytes_each\": %.0f, "
      "\"registrations_per_s\": %.0f, \"operator_ms\": %.6f, \"rounds\": %zu}",
      measured.median_ms, measured.p99_ms, measured.cpu_us, measured.idle_bytes,
      measured.registrations, measured.operator_ms, measured.rounds_ms.size());
}

}  // namespace

void print_head(std::ostream& out, bool with_musterd) {
  out << format("%-14s %6s | %21s", "", "", "floor, ms");
  if (with_musterd) out << format(" | %21s", "musterd, ms");
  out << format(" | %-19s", "CPU us/backend");
  out << format(" | %-15s | %-13s", "registrations/s", "with result ms");
  out << (with_musterd ? " | idle\n" : "\n");

  out << format("%-14s %6s | %8s %8s %3s", "peers", "N", "p50", "p99", "");
  if (with_musterd) out << format(" | %8s %6s %5s", "p50", "p99", "ratio");
  out << format(" | %5s %7s %5s", "floor", with_musterd ? "musterd" : "",
                with_musterd ? "ratio" : "");
  out << format(" | %7s %7s | %6s %7s", "floor", with_musterd ? "musterd" : "", "floor",
                with_musterd ? "musterd" : "");
  out << (with_musterd ? " | bytes each\n" : "\n");
}

void print_line(std::ostream& out, const Case& line, bool with_musterd) {
  const Measured& floor = line.floor;
  const Measured& musterd = line.musterd;
  out << format("%-14s %6zu", name_of(line.options.mode), line.options.count);
  if (!line.skipped.empty()) {
    out << " | left out: " << line.skipped << std::endl;
    return;
  }
  out << format(" | %8s %8s %3s", milliseconds(floor.median_ms).c_str(),
                milliseconds(floor.p99_ms).c_str(), "");
  if (with_musterd) {
    out << format(" | %8s %6s %5.2f", milliseconds(musterd.median_ms).c_str(),
                  milliseconds(musterd.p99_ms).c_str(), line.ratio);
    out << format(" | %5.2f %7.2f %5.2f", floor.cpu_us, musterd.cpu_us, line.cpu_ratio);
    out << format(" | %7s %7s", thousands(floor.registrations).c_str(),
                  thousands(musterd.registrations).c_str());
    out << format(" | %6s %7s", milliseconds(floor.operator_ms).c_str(),
                  milliseconds(musterd.operator_ms).c_str());
    out << format(" | %.0f", musterd.idle_bytes);
  } else {
    out << format(" | %5.2f %13s | %7s %7s | %6s", floor.cpu_us, "",
                  thousands(floor.registrations).c_str(), "",
                  milliseconds(floor.operator_ms).c_str());
  }
  out << std::endl;  // the next line may take a while
}

std::string to_json(const std::vector<Case>& cases, bool with_musterd) {
  std::ostringstream out;
  out << "{\"cases\": [";
  const char* separator = "\n  ";
  for (const Case& line : cases) {
    out << separator
        << format("{\"peers\": \"%s\", \"n\": %zu, ", name_of(line.options.mode),
                  line.options.count);
    separator = ",\n  ";
    if (!line.skipped.empty()) {
      out << "\"skipped\": \"" << line.skipped << "\"}";
      continue;
    }
    out << "\"floor\": ";
    put(out, line.floor);
    if (with_musterd) {
      out << ", \"musterd\": ";
      put(out, line.musterd);
      out << format(", \"ratio\": %.4f, \"cpu_ratio\": %.4f", line.ratio, line.cpu_ratio);
    }
    out << "}";
  }
  out << "\n]}\n";
  return out.str();
}

}  // namespace muster::bench
