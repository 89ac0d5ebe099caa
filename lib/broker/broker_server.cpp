#include "broker/broker_server.h"

#include <stdexcept>
#include <string>
#include <sys/random.h>
#include <sys/socket.h>
#include <utility>

#include "broker/server_impl.h"

namespace muster::broker {

namespace {

ServerOptions with_epoch(ServerOptions options) {
  constexpr std::size_t kEpochBytes = 16;
  std::string& epoch = options.core.epoch;
  if (!epoch.empty()) return options;
  epoch.resize(kEpochBytes);
  // From the pool that is never empty after boot; before, it waits.
  if (::getrandom(epoch.data(), epoch.size(), 0) != static_cast<ssize_t>(kEpochBytes)) {
    throw std::runtime_error("no random bytes for the broker's epoch: getrandom(2) failed");
  }
  return options;
}

}  // namespace

BrokerServer::Impl::Impl(asio::io_context& io_context, ServerOptions opts, EventSink& event_sink)
    : context(io_context),
      options(with_epoch(std::move(opts))),
      sink(event_sink),
      budget(options.descriptor_reserve),
      transport(make_transport(options.transport, context, options.max_queued_bytes, *this,
                               &transport_fell_back)),
      sends(context, *transport, *this),
      timers(context, *this),
      processes(context, *transport,
                [this](ConnectionId connection) { process_exited(connection); }),
      acceptor(context, *transport, *this),
      core(options.core, *this) {}

BrokerServer::Impl::~Impl() { stop(); }

void BrokerServer::Impl::stop() noexcept {
  if (std::exchange(stopped, true)) return;
  acceptor.stop();
  processes.stop();
  timers.stop();
  for (const ConnectionId connection : held.all()) {
    if (held.leaves(connection)) confirm(connection);
  }
  sends.send_all();
  transport->stop();
}

void BrokerServer::Impl::shut_down(std::function<void()> done, bool quiesce) {
  if (stopped) return;
  acceptor.stop();
  if (done) on_drained = std::move(done);
  clock.refresh();
  core.shut_down(clock.now(), quiesce);
}

// Its connection is one that has ended: what remains of it is the watch on its process.
Expected BrokerServer::Impl::expect(RosterBackend backend) {
  os::Peer peer;
  if (backend.is_unseen) {
    // An inode is of the whole host; a start time or a pid would be a stranger's.
    if (backend.pid == 0) peer.process.unique = backend.start_ticks;
  } else if (backend.pid > 0) {
    std::error_code error;
    peer.pidfd = os::pidfd_of_pid(backend.pid, error);
    if (error == std::errc::no_such_process) return Expected::kGone;
    if (!peer.pidfd) return Expected::kNotNow;
    // After the pidfd: a pid that was used again by then has another start time. A start time that
    // cannot be read (hidepid=) proves nothing: the process of that pid is watched.
    const auto started = os::start_time(backend.pid);
    const auto pid = os::pid_of_pidfd(peer.pidfd.get());
    if (pid == -1) return Expected::kGone;
    if (started && backend.start_ticks != 0 && *started != backend.start_ticks) {
      return Expected::kGone;
    }
    peer.process = os::identify(backend.pid, peer.pidfd.get());
  } else {
    peer.process.unique = backend.start_ticks;  // nothing leads to its process until it is back
  }
  core::Peer who{{peer.process.pid, peer.process.unique}, backend.uid, backend.gid};
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return Expected::kNotNow;
  }
  const os::UniqueFd other(ends[1]);
  const ConnectionId watch = transport->open(os::UniqueFd(ends[0]));
  try {
    processes.add(watch, peer);
    who.facts = processes.facts_of(watch);
    transport->hang_up(watch);
    clock.refresh();
    core.expect(watch,
                {std::move(backend.registration), std::move(who), std::move(backend.quiesced),
                 backend.refused, false, backend.is_unseen},
                clock.now());
  } catch (...) {
    release(watch);
    throw;
  }
  return Expected::kYes;
}

BrokerServer::BrokerServer(asio::io_context& context, ServerOptions options, EventSink& sink)
    : impl_(std::make_unique<Impl>(context, std::move(options), sink)) {}

BrokerServer::~BrokerServer() = default;

void BrokerServer::listen(os::UniqueFd listener) { impl_->acceptor.listen(std::move(listener)); }

Expected BrokerServer::expect(RosterBackend backend) { return impl_->expect(std::move(backend)); }

void BrokerServer::measure_descriptors() {
  impl_->budget.measure(impl_->descriptors_of_backends());
}

DescriptorUsage BrokerServer::descriptors() const {
  auto usage = impl_->budget.usage(impl_->descriptors_of_backends());
  usage.exhausted = impl_->acceptor.is_paused();
  return usage;
}

void BrokerServer::set_policy(core::AccessPolicyPtr policy) noexcept {
  impl_->core.set_policy(std::move(policy));
}

core::Broker& BrokerServer::core() noexcept { return impl_->core; }

core::Now BrokerServer::now() const { return Clock().now(); }

bool BrokerServer::is_serving() const noexcept {
  return !impl_->stopped && impl_->acceptor.is_serving();
}

bool BrokerServer::has_lost_listener() noexcept { return impl_->acceptor.has_lost_listener(); }

std::size_t BrokerServer::connection_count() const noexcept {
  return impl_->transport->open_count();
}

std::vector<core::ConnectionId> BrokerServer::held(const BackendKey& key) const {
  return impl_->held.of(key);
}

std::vector<core::ConnectionId> BrokerServer::held() const { return impl_->held.all(); }

void BrokerServer::confirm(core::ConnectionId connection) { impl_->confirm(connection); }

std::size_t BrokerServer::waiting_sends() const noexcept { return impl_->sends.waiting(); }

std::string_view BrokerServer::transport_name() const noexcept { return impl_->transport->name(); }

std::string_view BrokerServer::transport_fell_back() const noexcept {
  return impl_->transport_fell_back;
}

void BrokerServer::shut_down(std::function<void()> on_drained, bool quiesce) {
  impl_->shut_down(std::move(on_drained), quiesce);
}

}  // namespace muster::broker
