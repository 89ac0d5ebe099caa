// What one broadcast sends to very many, a part in each turn of the loop, so that others are served
// in between.
//
// Everything that is sent goes through here, so each connection gets its frames in their order. The
// first of a turn leave at once. What waits is bounded: over the bound, the oldest leave for the
// new. One thread, the io_context's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <string>
#include <utility>
#include <variant>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "broker/handler_memory.h"
#include "broker/transport.h"

namespace muster::broker {

class PacedSends {
 public:
  static constexpr std::size_t kATurn = 256;    // about a millisecond of system calls
  static constexpr std::size_t kMost = 16'384;  // that wait

  PacedSends(asio::io_context& context, Transport& transport, Transport::Events& events)
      : context_(context),
        transport_(transport),
        events_(events),
        memory_(asio::use_service<HandlerMemory>(context)) {}

  // As Transport::send().
  template <class Frame>
  void send(ConnectionId connection, Frame&& frame) {
    if (waiting_.empty() && sent_ < kATurn) {
      ++sent_;
      return transport_.send(connection, std::forward<Frame>(frame));
    }
    waiting_.push_back({connection, std::forward<Frame>(frame)});
    if (waiting_.size() > kMost) send_oldest();
    schedule();
  }

  // A turn of the loop begins.
  void turn_begins() noexcept { sent_ = 0; }

  // What waits for it leaves now: it is about to be hung up.
  void send_all_to(ConnectionId connection) noexcept {
    for (Waiting& one : waiting_) {
      if (one.connection == connection) send_now(std::exchange(one, {}));
    }
  }
  // Whatever waits leaves now.
  void send_all() noexcept {
    while (!waiting_.empty()) send_oldest();
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  struct Waiting {
    ConnectionId connection;
    std::variant<FramePtr, std::string> frame;
  };

  void send_oldest() noexcept {
    Waiting oldest = std::move(waiting_.front());
    waiting_.pop_front();
    send_now(std::move(oldest));
  }

  void send_now(Waiting one) noexcept {
    if (one.connection.generation == 0) return;  // it left before its turn
    try {
      std::visit([&](auto& frame) { transport_.send(one.connection, std::move(frame)); },
                 one.frame);
    } catch (const std::exception& e) {
      events_.handling_failed(one.connection, e.what());
    }
  }

  void schedule() {
    if (std::exchange(scheduled_, true)) return;
    asio::post(context_, PooledHandler{&memory_, [this] { turn(); }});
  }

  void turn() {
    scheduled_ = false;
    for (std::size_t i = std::min(kATurn, waiting_.size()); i > 0; --i) send_oldest();
    sent_ = kATurn;
    transport_.flush();
    if (!waiting_.empty()) schedule();
  }

  asio::io_context& context_;
  Transport& transport_;
  Transport::Events& events_;
  HandlerMemory& memory_;
  std::deque<Waiting> waiting_;
  std::size_t sent_ = 0;  // in this turn
  bool scheduled_ = false;
};

}  // namespace muster::broker
