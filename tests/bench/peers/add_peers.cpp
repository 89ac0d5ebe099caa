#include <unistd.h>

#include "bench/peers/peers.h"
#include "bench/subjects.h"

namespace muster::bench {

void add_peers(Subjects& subjects) {
#ifdef MUSTER_BENCH_NNG
  subjects.specs.push_back(nng_subject());
#else
  subjects.left_out.push_back({"nng", "libnng-dev was not there when this was built"});
#endif
#ifdef MUSTER_BENCH_ZEROMQ
  subjects.specs.push_back(zeromq_subject());
#else
  subjects.left_out.push_back({"ZeroMQ", "libzmq3-dev was not there when this was built"});
#endif
  if (::access(kDbusBroker, X_OK) == 0) {
    subjects.specs.push_back(dbus_broker_subject());
  } else {
    subjects.left_out.push_back({"dbus-broker", "the program is not there"});
  }
}

}  // namespace muster::bench
