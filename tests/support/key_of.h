#pragma once

#include <string>
#include <utility>

#include "muster/backend_key.h"

namespace muster::test {

// Of the shared instance.
inline BackendKey key_of(std::string service, std::string version = "1.0.0",
                         std::string replica = {}) {
  BackendKey key;
  key.service_name = std::move(service);
  key.service_version = std::move(version);
  key.replica = std::move(replica);
  return key;
}

}  // namespace muster::test
