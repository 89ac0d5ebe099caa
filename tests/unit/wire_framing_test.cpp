#include <gtest/gtest.h>

#include "wire/framing.h"

namespace muster::wire {
namespace {

using Status = FrameView::Status;

std::string frame_of(std::string_view body) {
  std::string frame(kHeaderBytes, '\0');
  put_header(frame.data(), body.size());
  return frame += body;
}

std::string header_of(std::size_t body_bytes) {
  std::string header(kHeaderBytes, '\0');
  put_header(header.data(), body_bytes);
  return header;
}

TEST(Framing, TheHeaderIsTheVersionAndTheLengthLittleEndian) {
  EXPECT_EQ(header_of(0x00A1B2C3), std::string("\x01\xC3\xB2\xA1\x00", 5));
  EXPECT_EQ(header_of(0), std::string("\x01\x00\x00\x00\x00", 5));
}

TEST(Framing, AFrameIsFoundAtTheBeginningOfWhatFollowsIt) {
  const std::string input = frame_of("hello") + frame_of("next");
  const FrameView view = next_frame(input, 100);
  EXPECT_EQ(view.status, Status::kComplete);
  EXPECT_EQ(view.bytes, 10u);
  EXPECT_EQ(view.body, "hello");
  EXPECT_EQ(view.body.data(), input.data() + kHeaderBytes) << "the body must not be a copy";
}

TEST(Framing, EveryBeginningOfAGoodFrameIsIncompleteAndSaysHowMuchIsNeeded) {
  const std::string frame = frame_of("hello");
  for (std::size_t n = 0; n < frame.size(); ++n) {
    const FrameView view = next_frame(std::string_view(frame).substr(0, n), 5);
    EXPECT_EQ(view.status, Status::kIncomplete) << n;
    EXPECT_EQ(view.bytes, n < kHeaderBytes ? kHeaderBytes : frame.size()) << n;
    EXPECT_EQ(view.problem, "") << n;
  }
  EXPECT_EQ(next_frame(frame, 5).status, Status::kComplete);
}

TEST(Framing, AnEmptyBodyIsAFrame) {
  const FrameView view = next_frame(frame_of(""), 0);
  EXPECT_EQ(view.status, Status::kComplete);
  EXPECT_EQ(view.bytes, kHeaderBytes);
  EXPECT_EQ(view.body, "");
}

TEST(Framing, AnUnknownVersionIsBadAsSoonAsItIsThere) {
  for (int version = 0; version < 256; ++version) {
    const FrameView view = next_frame(std::string(1, static_cast<char>(version)), 100);
    EXPECT_EQ(view.status, version == 1 ? Status::kIncomplete : Status::kBad) << version;
  }
  EXPECT_EQ(next_frame("GET / HTTP/1.1\r\n", 100).problem,
            "framing version 71 is not known: every message begins with the byte 1");
}

TEST(Framing, ALengthOverTheLimitIsBadBeforeAnyOfTheBodyIsThere) {
  EXPECT_EQ(next_frame(header_of(100), 100).status, Status::kIncomplete);
  const FrameView over = next_frame(header_of(101), 100);
  EXPECT_EQ(over.status, Status::kBad);
  EXPECT_EQ(over.problem, "a body of 101 bytes is over the limit of 100");

  const std::string longest("\x01\xFF\xFF\xFF\xFF", 5);
  EXPECT_EQ(next_frame(longest, kMaxControlBody).problem,
            "a body of 4294967295 bytes is over the limit of 16777216");
  EXPECT_EQ(next_frame(header_of(kMaxControlBody), kMaxControlBody).status, Status::kIncomplete);
  EXPECT_EQ(next_frame(header_of(kMaxControlBody + 1), kMaxControlBody).status, Status::kBad);
}

}  // namespace
}  // namespace muster::wire
