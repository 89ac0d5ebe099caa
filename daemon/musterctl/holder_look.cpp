#include "musterctl/holder_look.h"

#include <algorithm>
#include <map>
#include <sys/types.h>
#include <utility>

#include "os/holders/scan.h"

namespace muster::ctl {

void name_backends(ControlClient& client, std::vector<HolderScan>& scans) {
  const bool any = std::any_of(scans.begin(), scans.end(),
                               [](const HolderScan& one) { return !one.holders.empty(); });
  if (!any) return;
  std::map<pid_t, BackendKey> backends;
  try {
    for (const BackendInfo& one : client.backends()) {
      if (one.pid > 0 && one.state != BackendState::kDead) backends.emplace(one.pid, one.key);
    }
  } catch (const ControlFailure& failure) {
    if (failure.kind() == ControlFailure::Kind::kStopped) throw;
    return;
  }
  for (HolderScan& scan : scans) {
    for (Holder& holder : scan.holders) {
      const auto at = backends.find(holder.pid);
      if (holder.pid != 0 && at != backends.end()) holder.backend = at->second;
    }
  }
}

bool is_same_holder(const Holder& one, const Holder& other) {
  return one.pid == other.pid && one.started == other.started && one.object == other.object;
}

HolderScan look_by_broker(ControlClient& client, const std::string& path) {
  std::vector<HolderScan> scans{client.holders(path, os::own_mount_namespace())};
  name_backends(client, scans);
  return std::move(scans.front());
}

}  // namespace muster::ctl
