// The supplementary groups of peers. Most peers have those of the one before: they share one list.
#pragma once

#include <memory>
#include <sys/types.h>
#include <vector>

#include "os/peer.h"

namespace muster::broker {

class PeerGroups {
 public:
  // Null: none.
  [[nodiscard]] std::shared_ptr<const std::vector<gid_t>> of(int socket) {
    std::vector<gid_t> groups = os::groups_of_peer(socket);
    if (groups.empty()) return nullptr;
    if (!last_ || *last_ != groups) {
      last_ = std::make_shared<const std::vector<gid_t>>(std::move(groups));
    }
    return last_;
  }

 private:
  std::shared_ptr<const std::vector<gid_t>> last_;
};

}  // namespace muster::broker
