// The broker that is looked at: the real core and the real transport, on real sockets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

namespace muster::guard {

struct Work {
  std::string transport = "epoll";
  std::uint32_t backends = 100;
  std::uint32_t rounds = 10;
  std::uint32_t in_flight = 1;  // broadcasts that run at the same time, in each round
  std::uint32_t reports = 0;    // how often the last round's is written for an operator
};

// What cannot be seen from outside.
struct Counts {
  std::uint64_t allocations = 0;  // calls of operator new
  std::uint64_t heap_bytes = 0;   // in use when all was done
};

// This kernel does not have the transport.
struct NotHere : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Registers the backends, then runs the rounds and writes the reports; the peers are at the other
// end of `turns`. Calls `done` while all of it still stands. Throws NotHere, and std::runtime_error
// when it goes wrong.
void run_broker(int turns, const std::filesystem::path& socket, const Work& work,
                const std::function<void(Counts)>& done);

}  // namespace muster::guard
