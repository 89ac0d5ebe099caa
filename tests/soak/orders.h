// What the soak tells a process that holds connections, and what it hears: one message each over a
// sequenced-packet socket.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::soak {

struct Order {
  enum class Kind : std::uint8_t {
    kJoin,         // connects and registers the key; a connection that it has is replaced
    kLeave,        // deregisters it
    kClose,        // ends its connection
    kGarbage,      // says what is no frame on it
    kStopReading,  // from it, until the broker ends it
    kSilence,      // value: from now on answers nothing (1), answers again (0)
    kLastWords,    // value: after so many acks its process is killed by its own hand
  };
  Kind kind = Kind::kJoin;
  std::uint32_t key = 0;
  std::uint64_t value = 0;
};

struct Reply {
  enum class Kind : std::uint8_t {
    kJoined,   // value: the incarnation
    kEnded,    // deregistered, or the broker ended what was closed or stopped reading
    kDone,     // kSilence, kLastWords, kStopReading
    kTrouble,  // `text`: what should not have happened
  };
  Kind kind = Kind::kDone;
  std::uint32_t key = 0;
  std::uint64_t value = 0;
  std::array<char, 200> text{};
};

void send_order(int fd, const Order& order);
// Nothing when the other end is gone.
[[nodiscard]] std::optional<Order> receive_order(int fd);
void send_reply(int fd, Reply reply, std::string_view text = {});
[[nodiscard]] std::optional<Reply> receive_reply(int fd);

}  // namespace muster::soak
