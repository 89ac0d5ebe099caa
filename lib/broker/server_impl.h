// The insides of BrokerServer: the core in the middle, and around it what tells it things
// (transport, timers, processes, acceptor) and what it asks (core::Shell).
//
//   server_shell.cpp   what the core asks for
//   server_events.cpp  what happens outside, told to the core
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <asio/io_context.hpp>

#include "broker/acceptor.h"
#include "broker/broker_server.h"
#include "broker/clock.h"
#include "broker/deadline_timers.h"
#include "broker/operation_sends.h"
#include "broker/process_watch.h"
#include "broker/transport.h"
#include "core/broker.h"
#include "core/shell.h"
#include "wire/backend_lane.h"

namespace muster::broker {

struct BrokerServer::Impl final : core::Shell,
                                  Transport::Events,
                                  DeadlineTimers::Events,
                                  Acceptor::Events {
  Impl(asio::io_context& io_context, ServerOptions opts, EventSink& event_sink);
  ~Impl() override;

  // core::Shell
  BroadcastId next_broadcast_id() override;
  [[nodiscard]] bool last_id_is_durable() const noexcept override;
  [[nodiscard]] bool knows_all_backends() const noexcept override;
  void key_used(const core::UsedKey& key) override;
  void record_changed(const BackendKey& key) noexcept override;
  [[nodiscard]] std::vector<gid_t> groups_of(ConnectionId connection) override;
  void send(ConnectionId connection, const OutgoingOperation& operation) override;
  void send(ConnectionId connection, std::uint64_t request_id, const core::Notice& notice) override;
  void begin_sends(std::size_t most) noexcept override;
  void flush() override;
  void send_waiting() noexcept override;
  void refuse(ConnectionId connection, std::uint64_t request_id, const Refusal& refusal,
              bool answers_a_request) override;
  void hang_up(ConnectionId connection) override;
  void release(ConnectionId connection) override;
  void arm(core::DeadlineId id, core::SteadyTime at) override;
  void cancel(core::DeadlineId id) override;
  [[nodiscard]] bool wants_every_outcome() const noexcept override;
  void report(const Event& event) override;
  void ended(BroadcastId broadcast) noexcept override;
  void scan(const core::ScanOrder& order) override;
  void holds_changed() noexcept override;
  void hold_ended(HoldId hold) noexcept override;
  void drained() override;

  // Transport::Events
  void turn_begins() noexcept override;
  void frame_arrived(ConnectionId connection, std::string_view body) override;
  void stream_broken(ConnectionId connection, std::string problem) override;
  void lost(ConnectionId connection, core::LossCause cause) override;
  void half_closed(ConnectionId connection) override;
  void handling_failed(ConnectionId connection, std::string_view what) noexcept override;

  // DeadlineTimers::Events
  void before_deadlines() override;
  void deadline_passed(core::DeadlineId id) override;

  // Acceptor::Events
  void accepted(os::UniqueFd socket, os::Peer peer) override;
  [[nodiscard]] bool still_runs(const os::ProcessIdentity& process) const noexcept override;
  [[nodiscard]] std::string shortage() override;
  void accept_trouble(std::string_view sentence, std::optional<uid_t> user) noexcept override;
  void accepting_failed(std::string_view what) noexcept override;

  // Of connections and their processes.
  [[nodiscard]] std::uint64_t descriptors_of_backends() const noexcept {
    return transport->open_count() + processes.descriptor_count();
  }
  void process_exited(ConnectionId connection);
  // Counts and says it; of a peer of `user`, where it is about one.
  void failed(std::string_view what, std::string_view why,
              std::optional<uid_t> user = std::nullopt) noexcept;
  void shut_down(std::function<void()> done, bool quiesce);
  Expected expect(RosterBackend backend);
  // Everything that is sent goes through here.
  void put(ConnectionId connection, std::string frame);
  void confirm(ConnectionId connection);
  // Its slot may be used again.
  void close(ConnectionId connection);
  void stop() noexcept;

  asio::io_context& context;
  ServerOptions options;
  EventSink& sink;
  Clock clock;
  DescriptorBudget budget;
  std::string transport_fell_back;
  std::unique_ptr<Transport> transport;
  PacedSends sends;
  HeldSends held;
  DeadlineTimers timers;
  ProcessWatch processes;
  Acceptor acceptor;
  wire::BackendFrameDecoder decoder;
  wire::BackendFrame incoming;  // kept, so that its strings keep their memory
  EncodedOperations encoded;
  std::function<void()> on_drained;
  bool stopped = false;
  core::Broker core;  // last: it goes first
};

}  // namespace muster::broker
