// What happens outside, told to the core with the time. An exception ends what it was about and
// nothing else.
#include <exception>
#include <utility>

#include "broker/deliver.h"
#include "broker/server_impl.h"

namespace muster::broker {
void BrokerServer::Impl::turn_begins() noexcept {
  clock.refresh();
  sends.turn_begins();
}

void BrokerServer::Impl::frame_arrived(ConnectionId connection, std::string_view body) {
  auto problem = decoder.decode(body, incoming);
  if (!problem.empty()) {
    core.protocol_error(connection, 0, std::move(problem), clock.now());
    return;
  }
  deliver(core, connection, incoming, clock.now(), &processes);
}

void BrokerServer::Impl::stream_broken(ConnectionId connection, std::string problem) {
  core.protocol_error(connection, 0, std::move(problem), clock.now());
}

void BrokerServer::Impl::lost(ConnectionId connection, core::LossCause cause) {
  core.connection_lost(connection, cause, clock.now());
}

void BrokerServer::Impl::half_closed(ConnectionId connection) {
  core.connection_lost(connection, core::LossCause::kHalfClosed, clock.now());
}

void BrokerServer::Impl::handling_failed(ConnectionId connection, std::string_view what) noexcept {
  const bool is_connection = connection.generation != 0;
  failed(is_connection ? "a connection was closed because of an internal error: "
                       : "an internal error: ",
         what, core.user_of(connection));
  if (!is_connection) return;
  try {
    core.connection_lost(connection, core::LossCause::kFailed, clock.now());
  } catch (const std::exception& e) {
    failed("the end of a connection could not be handled: ", e.what(), core.user_of(connection));
  }
}

void BrokerServer::Impl::before_deadlines() {
  clock.refresh();
  transport->drain_all();
}

void BrokerServer::Impl::deadline_passed(core::DeadlineId id) {
  try {
    core.deadline_passed(id, clock.now());
  } catch (const std::exception& e) {
    failed("a deadline could not be handled: ", e.what());
  }
}

void BrokerServer::Impl::accepted(os::UniqueFd socket, os::Peer peer) {
  const core::Peer who{{peer.process.pid, peer.process.unique}, peer.uid, peer.gid};
  const ConnectionId connection = transport->open(std::move(socket));
  try {
    processes.add(connection, peer);
    if (core.connection_opened(connection, who, clock.now())) {
      transport->charge(connection, core.ledger()->queue_of(peer.uid));
    }
  } catch (...) {
    release(connection);
    throw;
  }
}

bool BrokerServer::Impl::still_runs(const os::ProcessIdentity& process) const noexcept {
  return processes.still_runs(process);
}

std::string BrokerServer::Impl::shortage() {
  const std::uint64_t mine = descriptors_of_backends();
  if (acceptor.is_paused()) budget.look_up_limit();
  if (budget.has_room(mine)) return {};
  const auto usage = budget.usage(mine);
  return std::to_string(usage.used) + " descriptors of " + std::to_string(usage.limit) +
         " are in use; the rest is reserved for operators";
}

void BrokerServer::Impl::accept_trouble(std::string_view sentence,
                                        std::optional<uid_t> user) noexcept {
  sink.on_trouble(sentence, user);
}

void BrokerServer::Impl::accepting_failed(std::string_view what) noexcept {
  failed("a connection was dropped: ", what);
}

// What tells it may need the memory that is short: that it is counted must do then.
void BrokerServer::Impl::failed(std::string_view what, std::string_view why,
                                std::optional<uid_t> user) noexcept {
  ++core.counters().task_failures;
  try {
    sink.on_trouble(std::string(what) += why, user);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it is counted
  }
}

void BrokerServer::Impl::process_exited(ConnectionId connection) {
  // A process that exits closes its descriptors before it is seen to have exited: what is open now
  // another process has. Looked at first, so that what is at its end is read to its end.
  const bool inherited = transport->has_peer(connection);
  transport->drain(connection);  // an ack that was written just before counts
  try {
    core.process_exited(connection, clock.now(), inherited);
  } catch (const std::exception& e) {
    handling_failed(connection, e.what());
  }
}

}  // namespace muster::broker
