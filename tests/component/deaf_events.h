// A transport's events that nobody listens to.
#pragma once

#include <string>
#include <string_view>

#include "broker/transport.h"

namespace muster::test {

struct DeafEvents final : broker::Transport::Events {
  void turn_begins() noexcept override {}
  void frame_arrived(broker::ConnectionId, std::string_view) override {}
  void stream_broken(broker::ConnectionId, std::string) override {}
  void lost(broker::ConnectionId, core::LossCause) override {}
  void half_closed(broker::ConnectionId) override {}
  void handling_failed(broker::ConnectionId, std::string_view) noexcept override {}
};

}  // namespace muster::test
