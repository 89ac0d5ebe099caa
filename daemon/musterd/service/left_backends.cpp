#include "musterd/service/left_backends.h"

#include <set>
#include <unistd.h>
#include <variant>

#include "muster/path.h"

#include "musterd/state/durable_file.h"
#include "os/peer.h"

namespace muster::daemon {

namespace {

std::set<BackendKey> keys_that_acked(const core::Broker& broker, BroadcastId id, core::Now now) {
  std::set<BackendKey> keys;
  if (id == 0) return keys;
  const auto answer = broker.report(id, now);
  const auto* const report = std::get_if<core::BroadcastRows>(&answer);
  if (report == nullptr) return keys;
  report->for_each_backend([&](const OutcomeView& one) {
    if (one.outcome == OutcomeKind::kAck) keys.insert(*one.key);
  });
  report->for_each_late([&](const LateView& late) {
    if (!late.reason) keys.insert(*late.key);
  });
  return keys;
}

}  // namespace

std::vector<os::LeftProcess> left_backends(const core::Broker& broker, BroadcastId quiesce,
                                           bool knows_all, core::Now now) {
  const std::set<BackendKey> drained = keys_that_acked(broker, quiesce, now);
  std::vector<os::LeftProcess> left;
  for (const BackendInfo& backend : broker.backends({})) {
    if (backend.state == BackendState::kDead || drained.contains(backend.key)) continue;
    os::LeftProcess process;
    // That one has exited, and nothing leads to the one that has its connection.
    if (backend.cause != Cause::kInherited) process.pid = backend.pid;
    if (process.pid != 0) process.start_ticks = os::start_time(process.pid).value_or(0);
    process.name = escape_bytes(backend.key.to_string());
    left.push_back(std::move(process));
  }
  if (!knows_all) left.push_back({0, 0, "backends that the broker did not know"});
  return left;
}

std::string write_left_backends(const std::filesystem::path& sockets,
                                const std::vector<os::LeftProcess>& left) {
  if (left.empty()) return {};
  return replace_durably(sockets, os::kLeftRunningName, os::encode_left_running(left)).problem;
}

void remove_left_backends(const std::filesystem::path& sockets) noexcept {
  (void)::unlink((sockets / os::kLeftRunningName).c_str());
}

}  // namespace muster::daemon
