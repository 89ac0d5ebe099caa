// A stream in any chunks is cut into the frames that the whole of it has.
//
// Input: the largest body, after how many frames the reader stops, the chunks' sizes, the stream.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/frame_splitter.h"
#include "fuzz/input.h"
#include "fuzz/targets.h"

namespace muster::fuzz {
namespace {

struct Cut {
  std::vector<std::string> frames;
  std::string rest;  // the beginning of a frame
  bool bad = false;

  friend bool operator==(const Cut&, const Cut&) = default;
};

// The format as its description says it.
Cut cut_as_described(std::string_view stream, std::size_t max_body) {
  Cut cut;
  for (;;) {
    if (!stream.empty() && stream[0] != 1) cut.bad = true;
    if (stream.size() >= 5 && !cut.bad) {
      std::uint64_t length = 0;
      for (std::size_t i = 4; i >= 1; --i) length = length * 256 + std::uint8_t(stream[i]);
      cut.bad = length > max_body;
      if (!cut.bad && stream.size() - 5 >= length) {
        cut.frames.emplace_back(stream.substr(5, length));
        stream.remove_prefix(5 + length);
        continue;
      }
    }
    cut.rest = cut.bad ? "" : stream;
    return cut;
  }
}

}  // namespace

void framing(std::string_view bytes) {
  Input input(bytes);
  const std::size_t max_body = input.choose(2) == 0 ? input.byte() : std::size_t{64} * 1024;
  const std::size_t stop_after = input.byte();  // 0: never
  std::vector<std::size_t> chunks;
  for (std::size_t count = input.choose(16); count > 0; --count) chunks.push_back(input.byte());
  const auto stream = input.rest();
  const auto should = cut_as_described(stream, max_body);

  Cut is;
  broker::PartialFrame partial;
  bool stopped = false;
  const auto on_frame = [&](std::string_view body) {
    is.frames.emplace_back(body);
    stopped = is.frames.size() == stop_after;
    return !stopped;
  };
  auto left = stream;
  for (std::size_t at = 0; !left.empty() && !stopped && !is.bad; ++at) {
    const auto chunk = chunks.empty() ? left.size() : chunks[at % chunks.size()];
    const auto now = left.substr(0, chunk == 0 ? 1 : chunk);
    left.remove_prefix(now.size());
    const auto problem = broker::split_frames(partial, now, max_body, on_frame);
    is.bad = !problem.empty();
    must(!partial || is.bad || partial->size() < wire::kHeaderBytes + max_body,
         "what is kept of a frame is less than a frame");
  }
  if (stopped) {
    must(is.frames.size() <= should.frames.size(), "no frame is made up");
    for (std::size_t i = 0; i < is.frames.size(); ++i) {
      must(is.frames[i] == should.frames[i], "the frames before the stop are those of the stream");
    }
    return;
  }
  if (partial && !is.bad) is.rest = *partial;
  must(is == should, "any chunks give the same frames");
}

}  // namespace muster::fuzz
