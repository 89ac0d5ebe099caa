// How the bench talks to a server that it forks from itself: the floor, and programs that are a
// library with a loop around it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace muster::bench {

// What the bench asks over a socket pair, in a record of fixed size.
enum class Ask : std::uint64_t {
  kStart,   // a round; answered as it begins
  kFinish,  // a round; answered when it is over
  kTimes,   // answered with TimesHead and the rounds' times since the last such request
  kClients  // answered when there are `count` clients; rounds ask these
};
struct AskRecord {
  Ask what = Ask::kStart;
  std::uint64_t count = 0;
  std::array<char, 48> padding{};
};
struct AnswerRecord {
  std::array<char, 16> bytes{};
};
struct TimesHead {
  std::uint64_t rounds = 0;  // so many 8-byte numbers follow: ns
  std::uint64_t lost_answers = 0;
};

// What a library does for the bench. One thread.
class RoundServer {
 public:
  virtual ~RoundServer() = default;
  // Serves clients that come until `control` is readable.
  virtual void idle(int control) = 0;
  // From now on a round asks so many. Returns when they are there.
  virtual void expect_clients(std::size_t count) = 0;
  // Asks all clients and waits for their answers. Returns how many are missing, and sets `end` to
  // when the last one came.
  virtual std::size_t round(std::chrono::steady_clock::time_point& end) = 0;
};

// Answers what is asked at `control` until that ends.
void serve_rounds(int control, RoundServer& server);

}  // namespace muster::bench
