// How a stream of bytes is cut into frames, wherever what was read ends.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "broker/frame_splitter.h"
#include "wire/framing.h"

namespace muster::broker {
namespace {

std::string frame(std::string_view body) {
  std::string bytes(wire::kHeaderBytes, '\0');
  wire::put_header(bytes.data(), body.size());
  return bytes.append(body);
}

TEST(FrameSplitterTest, EveryCutOfAStreamGivesTheSameFrames) {
  const std::string stream = frame("one") + frame("") + frame(std::string(300, 'x')) + frame("4");
  const std::vector<std::string> whole = {"one", "", std::string(300, 'x'), "4"};
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    PartialFrame partial;
    std::vector<std::string> got;
    const auto take = [&](std::string_view body) {
      got.emplace_back(body);
      return true;
    };
    const std::string_view all = stream;
    EXPECT_EQ(split_frames(partial, all.substr(0, cut), 1000, take), "");
    EXPECT_EQ(split_frames(partial, all.substr(cut), 1000, take), "");
    EXPECT_EQ(got, whole) << "cut at " << cut;
    EXPECT_FALSE(partial);
  }
}

TEST(FrameSplitterTest, ABufferGrowsWithWhatCameAndNotWithWhatAHeaderPromised) {
  PartialFrame partial;
  const auto never = [](std::string_view) { return false; };
  std::string header(wire::kHeaderBytes, '\0');
  wire::put_header(header.data(), 60'000);
  EXPECT_EQ(split_frames(partial, header + "abc", 65'536, never), "");
  ASSERT_TRUE(partial);
  EXPECT_LT(partial->capacity(), 100u);
}

TEST(FrameSplitterTest, AFrameOverTheLimitIsRefusedInAPartToo) {
  std::string header(wire::kHeaderBytes, '\0');
  wire::put_header(header.data(), 1001);
  const auto never = [](std::string_view) { return false; };
  PartialFrame partial;
  EXPECT_NE(split_frames(partial, header, 1000, never), "");
  PartialFrame cut;
  EXPECT_EQ(split_frames(cut, std::string_view(header).substr(0, 3), 1000, never), "");
  EXPECT_NE(split_frames(cut, std::string_view(header).substr(3), 1000, never), "");
}

}  // namespace
}  // namespace muster::broker
