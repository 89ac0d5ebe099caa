// A dbus-broker of the bench's own. It is told what to listen on over a private connection, which
// normally its launcher holds.
#pragma once

#include <filesystem>
#include <memory>

#include "bench/child.h"

struct sd_bus;

namespace muster::bench {

class DbusBroker {
 public:
  // Returns when it listens at `socket`. Its output goes to `log`. Throws std::runtime_error.
  DbusBroker(const std::filesystem::path& socket, const std::filesystem::path& log);
  ~DbusBroker();
  DbusBroker(const DbusBroker&) = delete;
  DbusBroker& operator=(const DbusBroker&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }

 private:
  Child child_;
  sd_bus* controller_ = nullptr;  // it ends when this does
};

}  // namespace muster::bench
