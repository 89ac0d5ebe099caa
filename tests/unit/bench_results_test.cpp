// What the bench makes of its figures: whether they are what they should be, and JSON.
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bench/aims.h"
#include "bench/report_json.h"
#include "bench/scenarios.h"
#include "bench/table.h"

namespace muster::bench {
namespace {

using Kind = SubjectSpec::Kind;

Figures figures(std::string subject, double ratio, double cpu_ratio) {
  Figures result;
  result.subject = std::move(subject);
  result.median_ms = ratio;
  result.ratio = ratio;
  result.cpu_us = 4 * cpu_ratio;
  result.cpu_ratio = cpu_ratio;
  result.idle_bytes = 2'048;
  result.rounds = 3;
  return result;
}

Row row(Mode mode, std::size_t count, std::vector<Figures> all) {
  Row result;
  result.options.mode = mode;
  result.options.count = count;
  result.figures = std::move(all);
  return result;
}

Results with_subjects(std::vector<SubjectFacts> more) {
  Results results;
  results.subjects = {{Kind::kFloor, "floor", "", ""}};
  results.subjects.insert(results.subjects.end(), more.begin(), more.end());
  return results;
}

// "what: measured bound verdict (note)", of those that were measured.
std::vector<std::string> measured(const std::vector<Aim>& aims) {
  std::vector<std::string> texts;
  for (const Aim& aim : aims) {
    if (!aim.measured) continue;
    std::ostringstream text;
    text << aim.subject << ": " << aim.what << ": " << *aim.measured << ' ' << aim.bound_text()
         << ' ' << name_of(aim.verdict());
    if (!aim.note.empty()) text << " (" << aim.note << ')';
    texts.push_back(text.str());
  }
  return texts;
}

using Texts = std::vector<std::string>;

TEST(BenchAims, ARowIsComparedWithWhatItShouldBe) {
  Results results = with_subjects({{Kind::kMusterd, "m", "1", "epoll"}});
  results.rows = {row(Mode::kOneProcess, 1'000, {figures("floor", 1, 1), figures("m", 1.25, 1.4)}),
                  row(Mode::kProcessEach, 100, {figures("floor", 1, 1), figures("m", 1.1, 1.2)})};
  EXPECT_EQ(measured(judge(results)),
            (Texts{"m: median, one process, N = 1,000: 1.25 <= 1.25 ok",
                   "m: broker CPU, one process, N = 1,000: 1.4 <= 1.35 missed",
                   "m: median, a process each, N = 100: 1.1 <= 1.1 ok",
                   "m: broker CPU, a process each, N = 100: 1.2 <= 1.2 ok"}));
}

TEST(BenchAims, MoreIsExpectedOfIoUringWhereEachClientIsAProcess) {
  Results results = with_subjects({{Kind::kMusterd, "u", "1", "io_uring"}});
  results.rows = {row(Mode::kProcessEach, 100, {figures("floor", 1, 1), figures("u", 0.95, 0.8)})};
  EXPECT_EQ(measured(judge(results)),
            (Texts{"u: median, a process each, N = 100: 0.95 <= 0.9 missed",
                   "u: broker CPU, a process each, N = 100: 0.8 <= 0.8 ok"}));
}

TEST(BenchAims, OthersAreComparedWhereTheyAreClosest) {
  Results results = with_subjects({{Kind::kMusterd, "m", "1", ""}, {Kind::kOther, "nng", "2", ""}});
  results.rows = {
      row(Mode::kOneProcess, 50,
          {figures("floor", 1, 1), figures("m", 1, 1), figures("nng", 4, 2)}),
      row(Mode::kOneProcess, 60,
          {figures("floor", 1, 1), figures("m", 1, 3), figures("nng", 2, 2)}),
  };
  EXPECT_EQ(measured(judge(results)),
            (Texts{"m: median, against nng: 0.5 <= 1 ok (worst at N = 60)",
                   "m: broker CPU, against nng: 1.5 <= 1 missed (worst at N = 60)"}));
}

TEST(BenchAims, GrowthIsOfTheCostForEachBackendBesideTheFloors) {
  Results results = with_subjects({{Kind::kMusterd, "m", "1", ""}});
  results.rows = {row(Mode::kOneProcess, 1'000, {figures("floor", 1, 1), figures("m", 1.2, 1)}),
                  row(Mode::kOneProcess, 10'000, {figures("floor", 14, 2), figures("m", 18, 1.2)})};
  const Texts all = measured(judge(results));
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[2], "m: memory of an idle backend, N = 10,000: 2 <= 3 ok");
  EXPECT_EQ(all[3],
            "m: median for each backend, N = 10,000 to 1,000: 1.5 <= 1.3 missed "
            "(the floor's: 1.40)");
  EXPECT_EQ(all[4],
            "m: broker CPU for each backend, N = 10,000 to 1,000: 1.2 <= 1.3 ok "
            "(the floor's: 2.00)");
}

TEST(BenchAims, ScenariosCountWhatTheyMeasured) {
  Results results = with_subjects({{Kind::kMusterd, "m", "1", ""}});
  results.scenarios = {{kRegistrations, "m", {{kRateRatio, 0.58}}},
                       {kIdle, "m", {{"backends", 10'000}, {kContextSwitches, 0}}},
                       {kStart, "someone else", {{kReadyMs, 1}}}};
  EXPECT_EQ(measured(judge(results)),
            (Texts{"m: registrations: 0.58 >= 0.59 missed",
                   "m: context switches at rest with 10,000 backends: 0 <= 0 ok"}));
}

TEST(BenchAims, WhatWasNotMeasuredIsListedAndNotMet) {
  const std::vector<Aim> aims = judge(with_subjects({{Kind::kMusterd, "m", "1", ""}}));
  EXPECT_GT(aims.size(), 20u);
  EXPECT_TRUE(std::all_of(aims.begin(), aims.end(),
                          [](const Aim& aim) { return aim.verdict() == Verdict::kNotMeasured; }));
}

TEST(BenchJson, HoldsWhatWasMeasuredAndWhatWasLeftOut) {
  Results results = with_subjects({{Kind::kMusterd, "m", "0.1.0", "epoll"}});
  results.host = {"2026-01-02T03:04:05Z", "6.1", "x86_64", "a CPU", 2, 0.5, 20'000};
  results.left_out = {{"nng", "not there"}};
  results.rows = {row(Mode::kOneProcess, 100, {figures("m", 1.5, 1.25)})};
  results.rows.push_back(row(Mode::kProcessEach, 10'000, {}));
  results.rows.back().skipped = "too many";
  results.scenarios = {{"idle", "m", {{"context_switches", 0}}}};
  Aim aim;
  aim.what = "less";
  aim.subject = "m";
  aim.bound = 3;
  aim.unit = "KiB";
  aim.measured = 2;
  const std::string json = to_json(results, {aim});
  for (const char* part : {
           "{\n  \"schema\": \"muster-bench/1\",\n  \"date\": \"2026-01-02T03:04:05Z\",\n",
           "    \"cpu\": \"a CPU\",\n    \"cores\": 2,\n    \"load\": 0.5,\n",
           "    {\"name\": \"m\", \"kind\": \"musterd\", \"version\": \"0.1.0\", "
           "\"transport\": \"epoll\"}\n",
           "    {\"what\": \"nng\", \"why\": \"not there\"}\n",
           "    {\"clients\": \"one process\", \"n\": 100, \"repetitions\": 3, \"turns\": 5, "
           "\"figures\": [{\"subject\": \"m\", \"median_ms\": 1.5, \"p99_ms\": 0, \"ratio\": 1.5, "
           "\"cpu_us_each\": 5, \"cpu_ratio\": 1.25, \"idle_bytes_each\": 2048, "
           "\"registrations_per_s\": 0, \"with_result_ms\": 0, \"lost_share\": 0, "
           "\"rounds\": 3}]},\n",
           "    {\"clients\": \"a process each\", \"n\": 10000, \"skipped\": \"too many\"}\n",
           "    {\"scenario\": \"idle\", \"subject\": \"m\", \"context_switches\": 0}\n",
           "    {\"what\": \"less\", \"subject\": \"m\", \"aim\": \"<= 3\", \"unit\": \"KiB\", "
           "\"verdict\": \"ok\", \"measured\": 2}\n",
       }) {
    EXPECT_NE(json.find(part), std::string::npos) << part << "is not in\n" << json;
  }
}

}  // namespace
}  // namespace muster::bench
