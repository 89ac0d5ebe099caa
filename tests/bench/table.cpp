#include "bench/table.h"

#include <algorithm>
#include <ostream>

#include "bench/text.h"

namespace muster::bench {
namespace {

std::string ratio(double value) { return format("%.2f", value); }

}  // namespace

const char* name_of(Mode mode) noexcept {
  return mode == Mode::kOneProcess ? "one process" : "a process each";
}

void print_host(std::ostream& out, const Results& results) {
  const Host& host = results.host;
  out << format("%zu cores, Linux %s, load %.1f at the start", host.cores, host.kernel.c_str(),
                host.load);
  for (const SubjectFacts& subject : results.subjects) {
    if (!subject.version.empty()) out << "; " << subject.name << ": " << subject.version;
  }
  out << '\n';
  for (const LeftOut& each : results.left_out) {
    out << "left out: " << each.what << ": " << each.why << '\n';
  }
}

void print_head(std::ostream& out) {
  out << format("\n%-14s %6s  %-18s %21s %6s %14s %6s %8s %8s %9s\n", "", "", "", "a round, ms",
                "ratio", "CPU us each", "ratio", "bytes", "regis-", "with");
  out << format("%-14s %6s  %-18s %10s %10s %6s %14s %6s %8s %8s %9s\n", "clients", "N", "server",
                "median", "p99", "", "", "", "each", "trations", "result");
}

void print_row(std::ostream& out, const Row& row) {
  const std::string where =
      format("%-14s %6s", name_of(row.options.mode), grouped(row.options.count).c_str());
  if (!row.skipped.empty()) {
    out << where << "  left out: " << row.skipped << std::endl;
    return;
  }
  for (const Figures& one : row.figures) {
    out << where
        << format("  %-18s %10s %10s %6s", one.subject.c_str(), three_digits(one.median_ms).c_str(),
                  three_digits(one.p99_ms).c_str(), ratio(one.ratio).c_str());
    out << format(" %14s %6s %8.0f", three_digits(one.cpu_us).c_str(), ratio(one.cpu_ratio).c_str(),
                  one.idle_bytes);
    out << format(" %8s %9s", thousands(one.registrations).c_str(),
                  three_digits(one.operator_ms).c_str());
    if (one.lost_share > 0) out << format("  loses %.0f %% of the answers", 100 * one.lost_share);
    out << '\n';
  }
  out << std::flush;  // the next row may take a while
}

void print_growth(std::ostream& out, const std::vector<Growth>& all) {
  if (all.empty()) return;
  out << "\nThe cost for each backend at " << grouped(kGrowthTo) << ", in times of that at "
      << grouped(kGrowthFrom) << '\n';
  for (const Growth& growth : all) {
    out << format("  %-18s median %s, CPU %s\n", growth.subject.c_str(),
                  ratio(growth.median).c_str(), ratio(growth.cpu).c_str());
  }
}

void print_scenario(std::ostream& out, const ScenarioResult& result) {
  out << format("  %-18s %s:", result.subject.c_str(), result.scenario.c_str());
  const char* separator = " ";
  for (const Measurement& each : result.measurements) {
    out << separator << figure(each.name, each.value);
    separator = ", ";
  }
  out << std::endl;
}

void print_aims(std::ostream& out, const std::vector<Aim>& aims) {
  out << format("\n%-18s %-49s %9s %-8s %-10s %s\n", "", "aim", "", "", "measured", "");
  for (const Aim& aim : aims) {
    const std::string measured = aim.measured ? three_digits(*aim.measured) : "-";
    out << format("%-18s %-49s %9s %-9s %9s  %s", aim.subject.c_str(), aim.what.c_str(),
                  aim.bound_text().c_str(), aim.unit.c_str(), measured.c_str(),
                  name_of(aim.verdict()));
    if (aim.measured && !aim.note.empty()) out << " (" << aim.note << ')';
    out << '\n';
  }
  const auto count = [&](Verdict verdict) {
    return std::count_if(aims.begin(), aims.end(),
                         [&](const Aim& aim) { return aim.verdict() == verdict; });
  };
  out << format("%td met, %td missed, %td not measured", count(Verdict::kOk),
                count(Verdict::kMissed), count(Verdict::kNotMeasured))
      << std::endl;
}

}  // namespace muster::bench
