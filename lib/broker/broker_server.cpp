#include "broker/broker_server.h"

#include <utility>

#include "broker/server_impl.h"

namespace muster::broker {

BrokerServer::Impl::Impl(asio::io_context& io_context, ServerOptions opts, EventSink& event_sink)
    : context(io_context),
      options(std::move(opts)),
      sink(event_sink),
      budget(options.descriptor_reserve),
      transport(make_transport(options.transport, context, options.max_queued_bytes, *this,
                               &transport_fell_back)),
      timers(context, *this),
      processes(context, *transport,
                [this](ConnectionId connection) { process_exited(connection); }),
      acceptor(context, *transport, *this),
      reads_groups(options.core.policy && options.core.policy->mentions_groups()),
      core(options.core, *this) {}

BrokerServer::Impl::~Impl() { stop(); }

void BrokerServer::Impl::stop() noexcept {
  if (std::exchange(stopped, true)) return;
  acceptor.stop();
  processes.stop();
  timers.stop();
  transport->stop();
}

void BrokerServer::Impl::shut_down(std::function<void()> done) {
  if (stopped) return;
  acceptor.stop();
  if (done) on_drained = std::move(done);
  clock.refresh();
  core.shut_down(clock.now());
}

BrokerServer::BrokerServer(asio::io_context& context, ServerOptions options, EventSink& sink)
    : impl_(std::make_unique<Impl>(context, std::move(options), sink)) {}

BrokerServer::~BrokerServer() = default;

void BrokerServer::listen(os::UniqueFd listener) { impl_->acceptor.listen(std::move(listener)); }

void BrokerServer::measure_descriptors() {
  impl_->budget.measure(impl_->descriptors_of_backends());
}

DescriptorUsage BrokerServer::descriptors() const {
  auto usage = impl_->budget.usage(impl_->descriptors_of_backends());
  usage.exhausted = impl_->acceptor.is_paused();
  return usage;
}

void BrokerServer::set_policy(core::AccessPolicyPtr policy) noexcept {
  impl_->reads_groups = policy && policy->mentions_groups();
  impl_->core.set_policy(std::move(policy));
}

core::Broker& BrokerServer::core() noexcept { return impl_->core; }

core::Now BrokerServer::now() const { return Clock().now(); }

std::size_t BrokerServer::connection_count() const noexcept {
  return impl_->transport->open_count();
}

std::string_view BrokerServer::transport_name() const noexcept { return impl_->transport->name(); }

std::string_view BrokerServer::transport_fell_back() const noexcept {
  return impl_->transport_fell_back;
}

void BrokerServer::shut_down(std::function<void()> on_drained) {
  impl_->shut_down(std::move(on_drained));
}

}  // namespace muster::broker
