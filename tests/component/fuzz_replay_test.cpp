// Every input of the fuzzers' corpora, and every one that once broke something, in every build.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fuzz/targets.h"

namespace muster::fuzz {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> inputs_in(const fs::path& folder) {
  std::vector<fs::path> inputs;
  if (!fs::exists(folder)) return inputs;
  for (const auto& entry : fs::directory_iterator(folder)) inputs.push_back(entry.path());
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What broke; empty when every promise was kept. The last line that is printed names the input that
// ended the program, if one did.
std::string replay(const Target& target, const std::vector<fs::path>& inputs) {
  std::string broken;
  for (const auto& input : inputs) {
    std::printf("replaying %s\n", input.c_str());
    std::fflush(stdout);
    try {
      target.run(bytes_of(input));
    } catch (const std::exception& e) {
      broken += input.native() + ": " + e.what() + '\n';
    }
  }
  return broken;
}

class FuzzReplay : public testing::TestWithParam<Target> {};

TEST_P(FuzzReplay, KeepsEveryPromiseOnTheCorpusAndOnWhatOnceBrokeIt) {
  const fs::path root = fs::path(MUSTER_TEST_DATA_DIR) / "fuzz";
  const auto corpus = inputs_in(root / "corpus" / GetParam().name);
  EXPECT_GE(corpus.size(), 5U) << "where are its inputs?";
  EXPECT_EQ(replay(GetParam(), corpus), "");
  EXPECT_EQ(replay(GetParam(), inputs_in(root / "regressions" / GetParam().name)), "");
}

TEST_P(FuzzReplay, KeepsEveryPromiseOnNothingAtAll) { GetParam().run({}); }

INSTANTIATE_TEST_SUITE_P(Fuzz, FuzzReplay, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

// Which folders there are that no target reads.
TEST(FuzzInputs, BelongToATarget) {
  for (const char* kind : {"corpus", "regressions"}) {
    const auto folder = fs::path(MUSTER_TEST_DATA_DIR) / "fuzz" / kind;
    for (const auto& entry : inputs_in(folder)) {
      const auto is_its = [&](const Target& target) { return entry.filename() == target.name; };
      EXPECT_TRUE(std::any_of(kTargets.begin(), kTargets.end(), is_its)) << entry;
    }
  }
}

}  // namespace
}  // namespace muster::fuzz
