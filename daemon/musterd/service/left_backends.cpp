#include "musterd/service/left_backends.h"

#include <memory>
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

// Refused processes without an entry are in the status alone.
bool knows_all_refused(const core::Broker& broker) {
  BrokerStatus status;
  broker.fill_status(status);
  return status.problems.empty();
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

void LeftBackends::note_quiesce(const core::Broker& broker, core::Now now) {
  const auto newest = broker.report(0, now);
  const auto* const report = std::get_if<core::BroadcastRows>(&newest);
  if (report != nullptr) quiesce_ = report->head().broadcast_id;
}

void LeftBackends::leave(const core::Broker& broker, bool knows_all, core::Now now) {
  auto left = left_backends(broker, quiesce_, knows_all && knows_all_refused(broker), now);
  const auto failed = std::make_shared<std::string>("cannot be written: no memory");
  const auto write = [failed, directory = sockets_, left = std::move(left)] {
    *failed = write_left_backends(directory, left);
  };
  const auto told = [log = &log_, directory = sockets_, failed](bool) {
    if (failed->empty()) return;
    log->warning("cannot write which backends run on: `musterctl` of root will not know of them",
                 {{"directory", directory}, {"why", *failed}});
  };
  if (!files_.run(write, told)) told(false);
}

void remove_left_backends(const std::filesystem::path& sockets) noexcept {
  (void)::unlink((sockets / os::kLeftRunningName).c_str());
}

}  // namespace muster::daemon
