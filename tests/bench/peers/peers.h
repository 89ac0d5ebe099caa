// What one could use instead of musterd, each driven as it is meant to be used for this job:
//
//   nng            a SURVEYOR asks, RESPONDENTs answer. It keeps 128 answers that nobody has taken
//                  yet, and drops what comes on top of them without a word.
//   ZeroMQ         a ROUTER sends to each client that it knows, DEALERs answer.
//   dbus-broker    an operator sends a signal that every client matches, each answers with a call
//                  to the operator that wants no reply. The operator's own CPU time is not counted.
//
// nng and ZeroMQ are programs of their library and a loop around it, forked from the bench.
#pragma once

#include "bench/subject.h"

namespace muster::bench {

// As far as they were there when this was built.
#ifdef MUSTER_BENCH_NNG
[[nodiscard]] SubjectSpec nng_subject();
#endif
#ifdef MUSTER_BENCH_ZEROMQ
[[nodiscard]] SubjectSpec zeromq_subject();
#endif

inline constexpr char kDbusBroker[] = "/usr/bin/dbus-broker";
// REQUIRES: kDbusBroker is there.
[[nodiscard]] SubjectSpec dbus_broker_subject();

}  // namespace muster::bench
