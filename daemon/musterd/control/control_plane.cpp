#include "musterd/control/control_plane.h"

#include <algorithm>
#include <exception>
#include <map>
#include <unistd.h>
#include <utility>

#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>

#include "broker/broker_server.h"
#include "musterd/control/control_plane_state.h"
#include "musterd/control/control_session.h"
#include "musterd/control/event_delivery.h"
#include "musterd/control/holder_scans.h"
#include "musterd/history/history.h"
#include "os/listener.h"

namespace muster::daemon {

ControlPlane::ControlPlane(const asio::any_io_executor& loop, ControlSettings settings,
                           ControlFacts facts, Log& log)
    : state_(std::make_shared<State>(std::make_shared<ControlContext>(
          ControlContext{loop, std::move(settings), std::move(facts), log}))) {
  state_->keep_spare();
}

ControlPlane::~ControlPlane() = default;

void ControlPlane::serve(broker::BrokerServer& server) { state_->context->server = &server; }

void ControlPlane::listen(os::UniqueFd socket) {
  auto listener = std::make_shared<State::Listener>(state_->context->loop);
  listener->acceptor.assign(asio::local::stream_protocol(), socket.release());
  const auto lost = std::find_if(state_->listeners.begin(), state_->listeners.end(),
                                 [](const auto& one) { return one->lost; });
  if (lost != state_->listeners.end()) state_->listeners.erase(lost);
  state_->listeners.push_back(listener);
  state_->serve_listener(listener);
}

bool ControlPlane::is_serving() const noexcept {
  const auto& listeners = state_->listeners;
  return !listeners.empty() && std::all_of(listeners.begin(), listeners.end(), [](const auto& one) {
    return one->served && !one->lost && one->acceptor.is_open();
  });
}

bool ControlPlane::has_lost_listener() {
  bool any = false;
  for (const auto& one : state_->listeners) {
    if (!one->lost && os::is_shut_down(one->acceptor.native_handle())) {
      one->lost = true;
      std::error_code ignored;
      one->acceptor.close(ignored);
      one->pause.cancel();
    }
    any = any || one->lost;
  }
  return any;
}

asio::awaitable<void> ControlPlane::State::serve(std::shared_ptr<State> self,
                                                 std::shared_ptr<ControlSession> session) {
  struct Leave {
    std::shared_ptr<State> plane;
    std::shared_ptr<ControlSession> session;
    ~Leave() {
      session->leave_holds();
      std::erase(plane->sessions, session);
      plane->keep_spare();
    }
  };
  const Leave leave{std::move(self), session};
  co_await ControlSession::run(std::move(session));
}

void ControlPlane::set_policy(core::AccessPolicyPtr policy) noexcept {
  state_->context->facts.policy = std::move(policy);
  for (const auto& session : state_->sessions) session->policy_changed();
}

void ControlPlane::on_event(const Event& event) {
  if (state_->sessions.empty()) return;
  EventDelivery delivery(event, *state_->context->server);
  for (const auto& session : state_->sessions) session->deliver(delivery);
}

void ControlPlane::on_ended(BroadcastId broadcast) noexcept {
  auto& owned = state_->context->owned;
  if (const auto own = owned.find(broadcast); own != owned.end() && !own->second.has_hold) {
    owned.erase(own);
  }
  EndDelivery end(broadcast, *state_->context->server, state_->context->report_keys);
  bool all = true;
  for (const auto& session : state_->sessions) all = session->ended(end) && all;
  if (!all) state_->answer_later();
  History* const history = state_->context->facts.history;
  if (history == nullptr) return;
  try {
    history->ended(broadcast, end.made());
  } catch (const std::exception& e) {
    state_->task_failed("history", e.what());
  }
}

std::shared_ptr<const std::string> ControlPlane::report_payload(BroadcastId broadcast) {
  EndDelivery end(broadcast, *state_->context->server, state_->context->report_keys);
  return end.payload() ? end.made() : nullptr;
}

void ControlPlane::State::answer_later() noexcept {
  retries.run([self = shared_from_this()](bool is_last) {
    bool all = true;
    for (const auto& session : self->sessions) {
      all = session->answer_ended() && all;
      if (!all && is_last) session->close_if_owed();
    }
    return all;
  });
}

void ControlPlane::on_scan(const core::ScanOrder& order) {
  const auto& context = state_->context;
  WantedScan wanted;
  wanted.who = WantedScan::For::kBroadcast;
  wanted.user = order.asked_by ? order.asked_by->uid : ::geteuid();
  wanted.request.path = order.path;
  wanted.request.mount_namespace = order.mount_namespace;
  const auto own = context->owned.find(order.id);
  const ControlSession* session =
      own != context->owned.end() ? own->second.session : context->starting;
  // Where its connection has ended, its process has, or does not wait for this.
  if (session != nullptr) wanted.without = session->own_process();
  wanted.children_after =
      own != context->owned.end() ? own->second.children_after : os::ticks_now();
  const auto done = [weak = state_->weak_from_this(), id = order.id](HolderScan scan) {
    if (const auto self = weak.lock()) self->scanned(id, std::move(scan));
  };
  if (context->scans->scan(std::move(wanted), done)) return;
  asio::post(context->loop, [done, path = order.path] {
    done(failed_scan(path, "other scans wait already: too many releases are verified at a time"));
  });
}

void ControlPlane::State::scanned(BroadcastId id, HolderScan scan) const {
  auto& server = *context->server;
  std::map<pid_t, BackendKey> backends;
  for (const Holder& holder : scan.holders) {
    if (holder.pid != 0) backends.try_emplace(holder.pid);
  }
  if (!backends.empty()) server.core().find_keys(backends);
  for (Holder& holder : scan.holders) {
    const auto found = backends.find(holder.pid);
    if (found != backends.end() && !found->second.service_name.empty()) {
      holder.backend = found->second;
    }
  }
  server.core().scanned(id, std::move(scan), server.now());
}

void ControlPlane::on_hold_ended(HoldId hold) noexcept {
  state_->context->owned.erase(hold);
  for (const auto& session : state_->sessions) session->hold_ended(hold);
}

bool ControlPlane::wants_every_outcome() const noexcept { return state_->context->followers != 0; }

std::size_t ControlPlane::session_count() const noexcept { return state_->sessions.size(); }

void ControlPlane::shut_down() {
  state_->closing = true;
  for (const auto& listener : state_->listeners) {
    std::error_code ignored;
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  }
  state_->listeners.clear();
  const auto sessions = state_->sessions;
  for (const auto& session : sessions) session->finish();
}

}  // namespace muster::daemon
