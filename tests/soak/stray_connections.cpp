#include "soak/stray_connections.h"

#include <string>
#include <system_error>

#include "muster/socket_dir.h"

#include "bench/unix_socket.h"
#include "soak/behaviour.h"
#include "wire/backend_lane.h"

namespace muster::soak {
namespace {

std::string what_a_stranger_says(simulator::Rng& rng) {
  const auto good = wire::encode(1, registration_of(rng.below(kKeys)));
  switch (rng.below(6)) {
    case 0:
      return {};
    case 1:  // a part of a good frame
      return good.substr(0, rng.below(good.size()));
    case 2: {  // one with a bit turned over, in the length or the body: never a key of the soak
      auto bad = good.substr(0, good.size() - 1);
      bad[0] = static_cast<char>(2 + rng.below(250));
      return bad;
    }
    case 3:  // a length over every limit
      return {"\x01\xff\xff\xff\xff", 5};
    case 4:  // an answer before it registered
      return wire::encode(rng.next(), Ack{});
    default: {
      std::string noise;
      for (auto left = 1 + rng.below(300); left > 0; --left) {
        noise += static_cast<char>(rng.below(256));
      }
      return noise;
    }
  }
}

}  // namespace

void StrayConnections::visit(simulator::Rng& rng) {
  while (connections_.size() >= kMost) connections_.pop_front();
  const auto* name = rng.chance(80) ? kBackendSocketName : kControlSocketName;
  auto connection = bench::connect_to(directory_ / name);
  try {
    bench::send_all(connection.get(), what_a_stranger_says(rng));
  } catch (const std::system_error&) {
    // Nothing to do: it was shown the door already.
  }
  ++count_;
  if (rng.chance(50)) connections_.push_back(std::move(connection));
}

}  // namespace muster::soak
