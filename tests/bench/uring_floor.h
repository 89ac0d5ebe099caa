// The least that a server can do for the same exchange with io_uring: what musterd's io_uring
// transport can come close to, as floor_server.h is for epoll. One thread, which waits in the ring.
//
// All sends of a round go to the kernel together; each connection has one receive armed, which
// stays armed and fills buffers of the ring's. No framing, no timers, no allocation.
#pragma once

#include "bench/subject.h"

namespace muster::bench {

[[nodiscard]] SubjectSpec uring_floor();

}  // namespace muster::bench
