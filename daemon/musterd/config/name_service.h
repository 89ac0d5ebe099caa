// Names with a bound on the time: the name service may hang for as long as it likes, on a thread of
// its own.
//
// Any thread, one at a time.
#pragma once

#include <chrono>
#include <memory>

#include "musterd/config/accounts.h"

namespace muster::daemon {

class NameService {
 public:
  // Each lookup takes at most `patience`. While one hangs, every other cannot be made, at once: so
  // a configuration of many names waits only once.
  explicit NameService(std::chrono::milliseconds patience, NameLookup names = {});
  ~NameService();
  NameService(const NameService&) = delete;
  NameService& operator=(const NameService&) = delete;

  // Good for as long as this is.
  [[nodiscard]] NameLookup bounded();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::daemon
