// What the core asks for. Nothing here calls the core.
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include <asio/post.hpp>

#include "broker/handler_memory.h"
#include "broker/server_impl.h"

namespace muster::broker {

BroadcastId BrokerServer::Impl::next_broadcast_id() { return options.next_broadcast_id(); }

bool BrokerServer::Impl::last_id_is_durable() const noexcept {
  return !options.last_id_is_durable || options.last_id_is_durable();
}

bool BrokerServer::Impl::knows_all_backends() const noexcept {
  // Without descriptors new backends wait, and nobody knows who they are.
  if (acceptor.is_paused()) return false;
  return !options.knows_all_backends || options.knows_all_backends();
}

void BrokerServer::Impl::key_used(const core::UsedKey& key) {
  if (options.key_used) options.key_used(key);
}

void BrokerServer::Impl::record_changed(const BackendKey& key) noexcept {
  sink.on_record_changed(key);
}

std::vector<gid_t> BrokerServer::Impl::groups_of(ConnectionId connection) {
  return os::groups_of_peer(transport->socket_of(connection));
}

void BrokerServer::Impl::send(ConnectionId connection, const OutgoingOperation& operation) {
  const FramePtr& frame = encoded.frame_of(operation);
  if (auto* const waits = held.frames_of(connection)) return waits->push_back(frame);
  sends.send(connection, frame);
}

void BrokerServer::Impl::put(ConnectionId connection, std::string frame) {
  if (auto* const waits = held.frames_of(connection)) {
    return waits->push_back(std::make_shared<const OutboundBytes>(std::move(frame)));
  }
  sends.send(connection, std::move(frame));
}

void BrokerServer::Impl::confirm(ConnectionId connection) {
  const HeldSends::Held waited = held.take(connection);
  try {
    for (const FramePtr& frame : waited.frames) sends.send(connection, frame);
  } catch (const std::exception& e) {
    handling_failed(connection, e.what());
    if (!waited.leaves) return;
  }
  if (waited.leaves) return close(connection);
  transport->flush();
}

void BrokerServer::Impl::send(ConnectionId connection, std::uint64_t request_id,
                              const core::Notice& notice) {
  struct Encode {
    std::uint64_t request_id;
    std::string operator()(const Registered& registered) const {
      return wire::encode(request_id, registered);
    }
    std::string operator()(const HoldEnded& ended) const { return wire::encode(ended); }
    std::string operator()(const core::DeregisteredNotice&) const {
      return wire::encode(request_id, wire::Deregistered{});
    }
    std::string operator()(core::CancelNotice) const {
      return wire::encode_cancel(wire::kBackendLane, request_id);
    }
  };
  const auto* const registered = std::get_if<Registered>(&notice);
  if (registered != nullptr && options.hold_registered) held.hold(connection, registered->key);
  const auto* const left = std::get_if<core::DeregisteredNotice>(&notice);
  if (left != nullptr && options.hold_registered) {
    held.hold_until_left(connection, left->key,
                         {core.ledger(), core::Resource::kConnection, left->uid});
  }
  put(connection, std::visit(Encode{request_id}, notice));
}

void BrokerServer::Impl::begin_sends(std::size_t most) noexcept { sends.begin(most); }

void BrokerServer::Impl::flush() { transport->flush(); }

void BrokerServer::Impl::send_waiting() noexcept {
  sends.send_all();
  try {
    transport->flush();
  } catch (const std::exception& e) {
    failed("sending what waited failed: ", e.what());
  }
}

void BrokerServer::Impl::refuse(ConnectionId connection, std::uint64_t request_id,
                                const Refusal& refusal, bool answers_a_request) {
  put(connection, wire::encode(request_id, refusal, answers_a_request));
}

void BrokerServer::Impl::hang_up(ConnectionId connection) {
  (void)held.take(connection);  // it never heard that it is registered
  sends.send_all_to(connection);
  transport->hang_up(connection);
  acceptor.descriptors_came_back();
}

void BrokerServer::Impl::release(ConnectionId connection) {
  processes.remove(connection);
  if (held.leaves(connection)) return;  // until it is confirmed
  (void)held.take(connection);
  close(connection);
}

void BrokerServer::Impl::close(ConnectionId connection) {
  sends.send_all_to(connection);
  transport->release(connection);
  acceptor.descriptors_came_back();
}

void BrokerServer::Impl::arm(core::DeadlineId id, core::SteadyTime at) {
  if (!stopped) timers.arm(id, at);
}

void BrokerServer::Impl::cancel(core::DeadlineId id) { timers.cancel(id); }

bool BrokerServer::Impl::wants_every_outcome() const noexcept { return sink.wants_every_outcome(); }

void BrokerServer::Impl::report(const Event& event) { sink.on_event(event); }

void BrokerServer::Impl::scan(const core::ScanOrder& order) { sink.on_scan(order); }

void BrokerServer::Impl::holds_changed() noexcept { sink.on_holds_changed(); }

void BrokerServer::Impl::hold_ended(HoldId hold) noexcept { sink.on_hold_ended(hold); }

void BrokerServer::Impl::ended(BroadcastId broadcast) noexcept { sink.on_ended(broadcast); }

// The core is in the middle of something: what it still has to say comes before the end.
void BrokerServer::Impl::drained() {
  auto& memory = asio::use_service<HandlerMemory>(context);
  asio::post(context, PooledHandler{&memory, [this] {
                                      stop();
                                      const auto done = std::exchange(on_drained, {});
                                      if (done) done();  // may destroy this
                                    }});
}

}  // namespace muster::broker
