// A decoded message of a backend, told to the core: where the wire and the core meet.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "broker/process_watch.h"
#include "core/broker.h"
#include "wire/backend_lane.h"

namespace muster::broker {

// Takes what is in `frame`.
//
// `processes` knows what program the peer is; null: nobody does.
inline void deliver(core::Broker& core, core::ConnectionId from, wire::BackendFrame& frame,
                    core::Now now, ProcessWatch* processes = nullptr) {
  struct Deliver {
    core::Broker& core;
    ProcessWatch* processes = nullptr;
    core::ConnectionId from;
    std::uint64_t request_id = 0;
    core::Now now;
    std::optional<std::uint32_t> refused_before;

    void operator()(const Ack& ack) const { core.acked(from, request_id, ack, now); }
    void operator()(const Failure& failure) const { core.failed(from, request_id, failure, now); }
    void operator()(const Working& working) const { core.working(from, request_id, working, now); }
    void operator()(const Activity&) const { core.activity(from, now); }
    void operator()(Registration& registration) const {
      core.registration(from, request_id, std::move(registration), now,
                        processes == nullptr ? nullptr : processes->facts_of(from), refused_before);
    }
    void operator()(const Deregister&) const { core.deregister(from, request_id, now); }
    // The broker asks, backends answer: there is nothing of theirs to cancel.
    void operator()(const wire::Cancel&) const {}
  };
  std::visit(Deliver{core, processes, from, frame.request_id, now, frame.refused_before},
             frame.message);
}

}  // namespace muster::broker
