// Shows a broadcast while it runs: a live line on a terminal, plain lines elsewhere, or nothing.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "muster/broker_view.h"

#include "musterctl/console.h"

namespace muster::ctl {

class BroadcastDisplay {
 public:
  virtual ~BroadcastDisplay() = default;
  virtual void on_event(const Event& event) = 0;
  // Called ten times a second or more.
  virtual void tick() = 0;
};

// `socket_dir`: where to ask who is still open, which the events do not say.
[[nodiscard]] std::unique_ptr<BroadcastDisplay> make_display(
    Console& console, bool silent, const std::filesystem::path& socket_dir);

}  // namespace muster::ctl
