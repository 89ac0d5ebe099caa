// muster-simulate: the broker's core under virtual time, against the oracle, for as long as asked.
//
// Every seed is one random script. A seed that fails is printed with a short script that fails,
// too; both run again here.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/run.h"
#include "simulator/traffic.h"

namespace {

using muster::simulator::explain;

constexpr int kGood = 0;
constexpr int kFound = 1;
constexpr int kUsage = 2;

constexpr std::string_view kHelp =
    R"(usage: muster-simulate [--least RATE] [--seconds] SECONDS [[--seed] SEED]
       muster-simulate --script FILE
       muster-simulate --replay FILE
       muster-simulate --record FILE SEED

Runs random scripts, one for each seed from SEED on (a random one without it), until SECONDS are
over or one fails. 0 seconds run one. With --least, fewer steps a minute than RATE are a failure,
too. --script runs what a failure printed; FILE - is standard input. --replay does so, too, and
prints what the broker did at each step. --record writes the script of a seed to FILE.
Exit status: 0 all is well, 1 something was found, 2 bad usage.
)";

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number number{};
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

int simulate(std::chrono::duration<double> time, std::uint64_t seed, std::uint64_t least) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto first = seed;
  std::uint64_t steps = 0;
  muster::Counters counters;
  muster::simulator::Cases cases;
  std::cout << "seed " << seed << " and on" << std::endl;
  std::chrono::duration<double> spent{};
  do {
    const auto outcome = muster::simulator::run_seed(seed);
    if (!outcome.good()) {
      std::cout << explain(seed) << "\nRun it again: muster-simulate 0 " << seed << std::endl;
      return kFound;
    }
    ++seed;
    steps += outcome.steps;
    muster::simulator::add(counters, outcome.counters);
    cases.add(outcome.cases);
    spent = Clock::now() - begin;
  } while (spent < time);
  const auto a_minute = static_cast<std::uint64_t>(static_cast<double>(steps) / spent.count() * 60);
  std::cout << seed - first << " scripts, " << steps << " steps, " << a_minute
            << " steps a minute: all good\n"
            << muster::simulator::to_string(counters) << '\n'
            << muster::simulator::to_string(cases) << std::endl;
  if (a_minute >= least) return kGood;
  std::cout << "that is too slow: at least " << least << " steps a minute are wanted" << std::endl;
  return kFound;
}

int record(const std::string& file, std::uint64_t seed) {
  muster::simulator::Script script;
  (void)muster::simulator::run_seed(seed, &script);
  std::ofstream out(file);
  out << muster::simulator::to_string(script);
  out.close();
  if (out) return kGood;
  std::cerr << "muster-simulate: cannot write " << file << '\n';
  return kFound;
}

int run_script(const std::string& file, bool shown) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file);
    if (!opened) {
      std::cerr << "muster-simulate: cannot read " << file << '\n';
      return kUsage;
    }
  }
  std::istream& in = file == "-" ? std::cin : opened;
  const std::string text(std::istreambuf_iterator<char>(in), {});
  std::string bad_line;
  const auto script = muster::simulator::parse_script(text, bad_line);
  if (!script) {
    std::cerr << "muster-simulate: this line is no step: " << bad_line << '\n';
    return kUsage;
  }
  const auto outcome = shown ? muster::simulator::replay(*script, std::cout)
                             : muster::simulator::run_script(*script);
  std::cout << (outcome.good() ? std::string("all good") : explain(*script)) << std::endl;
  return outcome.good() ? kGood : kFound;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h") {
    std::cout << kHelp;
    return kGood;
  }
  if (first == "--script" && argc == 3) return run_script(argv[2], false);
  if (first == "--replay" && argc == 3) return run_script(argv[2], true);
  if (first == "--record" && argc == 4) {
    if (const auto of = parse<std::uint64_t>(argv[3])) return record(argv[2], *of);
  }
  // The two numbers may have their names in front of them.
  std::vector<std::string_view> numbers;
  const bool has_least = first == "--least" && argc > 2;
  const auto least = has_least ? parse<std::uint64_t>(argv[2]) : std::optional<std::uint64_t>(0);
  for (int i = has_least ? 3 : 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool name = word == (numbers.empty() ? "--seconds" : "--seed");
    if (!name) numbers.push_back(word);
  }
  const double seconds = numbers.empty() ? -1 : parse<double>(numbers[0]).value_or(-1);
  const auto seed = numbers.size() > 1 ? parse<std::uint64_t>(numbers[1])
                                       : std::optional<std::uint64_t>(std::random_device{}());
  if (numbers.size() > 2 || !(seconds >= 0) || !seed || !least) {
    std::cerr << kHelp;
    return kUsage;
  }
  return simulate(std::chrono::duration<double>(seconds), *seed, *least);
}
