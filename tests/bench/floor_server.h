// The floor: the least that a server can do for the same exchange, as a C programmer would write
// it. One thread, one epoll set, no framing, no timers, no allocation for each message.
//
// Backends: accept, first message in, one message out. A round: send() to all, then epoll_wait and
// one recv for each answer until all are in.
#pragma once

namespace muster::bench {

// Answers the Asks of round_server.h, but kClients, until the control socket ends. Both are open;
// the listener is not blocking.
void run_floor_server(int listener, int control);

}  // namespace muster::bench
