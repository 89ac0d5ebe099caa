#include "soak/hosts.h"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "soak/host.h"

namespace muster::soak {
namespace {

constexpr int kPatienceMs = 60'000;
constexpr int kOrders = 3;  // the descriptor in the child

}  // namespace

void Hosts::start(std::uint32_t slot) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  slots_[slot].orders = os::UniqueFd(ends[0]);
  os::UniqueFd theirs(ends[1]);
  slots_[slot].child = bench::Child::fork([&] {
    // Nothing of the soak's own: a connection that a child keeps open would never end.
    if (::dup2(theirs.get(), kOrders) < 0) return;
    ::close_range(kOrders + 1, ~0U, 0);
    Host host(kOrders, socket_, seed_);
    host.run();
    ::_exit(0);
  });
}

void Hosts::kill(std::uint32_t slot) {
  slots_[slot].child.end();
  slots_[slot].orders.reset();
}

void Hosts::await_end(std::uint32_t slot) {
  if (slots_[slot].child.wait()) throw std::runtime_error("a process that should die exited");
  slots_[slot].orders.reset();
}

void Hosts::stop(std::uint32_t slot) const { ::kill(slots_[slot].child.pid(), SIGSTOP); }
void Hosts::continue_it(std::uint32_t slot) const { ::kill(slots_[slot].child.pid(), SIGCONT); }

void Hosts::tell(std::uint32_t slot, const Order& order) {
  send_order(slots_[slot].orders.get(), order);
}

Reply Hosts::hear(std::uint32_t slot, Reply::Kind kind) {
  const auto who = "the backends' process " + std::to_string(slot);
  pollfd readable{slots_[slot].orders.get(), POLLIN, 0};
  if (::poll(&readable, 1, kPatienceMs) != 1) throw std::runtime_error(who + " says nothing");
  const auto reply = receive_reply(slots_[slot].orders.get());
  if (!reply) throw std::runtime_error(who + " is gone");
  if (reply->kind != kind) {
    throw std::runtime_error(
        who + ", backend " + std::to_string(reply->key) + ": " +
        (reply->kind == Reply::Kind::kTrouble ? reply->text.data() : "an unexpected reply"));
  }
  return *reply;
}

}  // namespace muster::soak
