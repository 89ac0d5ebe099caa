// What a musterd holds beyond what it held at the beginning, once everybody is gone.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <sys/types.h>

#include "muster/control.h"

#include "support/holdings.h"
#include "support/process.h"

namespace muster::test {

// Backends of a process that lives (the test's own) are lost once their connections end, and the
// broker watches that process for them. Has it forget them; `client` is of that broker.
void forget_lost(ControlClient& client);

class BrokerHoldings {
 public:
  // Takes what the broker holds now, with nobody connected, as what it may hold.
  explicit BrokerHoldings(std::filesystem::path socket_dir);

  // REQUIRES: backends and operators closed their connections, or their processes ended. The
  // broker hears of that in its own time: it is asked again and again, at most `patience`,
  // until it holds no more descriptors than before and has no children. What it still holds then;
  // empty when it holds nothing, or has ended itself.
  [[nodiscard]] std::string leaked(std::chrono::milliseconds patience = Process::kPatience) const;

 private:
  std::filesystem::path socket_dir_;
  pid_t pid_ = 0;
  Holdings before_;
};

}  // namespace muster::test
