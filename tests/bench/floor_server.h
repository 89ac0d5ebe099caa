// The floor: the least that a server can do for the same exchange, as a C programmer would write
// it. One thread, one epoll set, no framing, no timers, no allocation for each message.
//
// Backends: accept, first message in, one message out. A round: send() to all, then epoll_wait and
// one recv for each answer until all are in.
#pragma once

#include <cstddef>
#include <cstdint>

namespace muster::bench {

// What the bench asks over the control socket, 64 bytes each, answered with 16.
inline constexpr std::size_t kFloorRequestBytes = 64;
inline constexpr char kFloorStart = 's';   // a round; answered as it begins
inline constexpr char kFloorFinish = 'f';  // a round; answered when it is over
inline constexpr std::size_t kFloorAnswerBytes = 16;
inline constexpr char kFloorTimes = 't';  // answered with a count and the rounds' times since the
                                          // last such request, in ns, 8 bytes each

// Runs until the control socket ends. Both are open; the listener is not blocking.
void run_floor_server(int listener, int control);

}  // namespace muster::bench
