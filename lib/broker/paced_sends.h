// What one broadcast sends to very many, a part in each turn of the loop, so that others are served
// in between.
//
// Everything that is sent goes through here, so each connection gets its frames in their order. The
// first of a turn leave at once. What waits is bounded: over the bound, the oldest leave for the
// new. One thread, the io_context's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "broker/handler_memory.h"
#include "broker/transport.h"

namespace muster::broker {

class PacedSends {
 public:
  static constexpr std::size_t kATurn = 1024;   // a few milliseconds of system calls
  static constexpr std::size_t kMost = 16'384;  // that wait

  PacedSends(asio::io_context& context, Transport& transport, Transport::Events& events)
      : context_(context),
        transport_(transport),
        events_(events),
        memory_(asio::use_service<HandlerMemory>(context)) {}

  // As Transport::send().
  void send(ConnectionId connection, const FramePtr& frame) {
    if (!goes_at_once()) return wait(connection, frame);
    transport_.send(connection, frame);
  }
  void send(ConnectionId connection, std::string frame) {
    if (!goes_at_once()) {
      return wait(connection, std::make_shared<const OutboundBytes>(std::move(frame)));
    }
    transport_.send(connection, std::move(frame));
  }

  // A turn of the loop begins.
  void turn_begins() noexcept { sent_ = 0; }

  // What waits for it leaves now: it is about to be hung up.
  void send_all_to(ConnectionId connection) noexcept {
    for (std::size_t i = first_; i < waiting_.size(); ++i) {
      if (waiting_[i].connection == connection) send_now(std::exchange(waiting_[i], {}));
    }
  }
  // Whatever waits leaves now.
  void send_all() noexcept {
    while (waiting() != 0) send_oldest();
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size() - first_; }

 private:
  struct Waiting {
    ConnectionId connection;
    FramePtr frame;
  };

  [[nodiscard]] bool goes_at_once() noexcept { return waiting() == 0 && sent_++ < kATurn; }

  void wait(ConnectionId connection, FramePtr frame) {
    waiting_.push_back({connection, std::move(frame)});
    if (waiting() > kMost) send_oldest();
    schedule();
  }

  void send_oldest() noexcept {
    const Waiting oldest = std::move(waiting_[first_++]);
    if (first_ == waiting_.size()) {
      waiting_.clear();
      first_ = 0;
    } else if (first_ >= kMost) {  // more came before it was ever empty
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    send_now(oldest);
  }

  void send_now(const Waiting& one) noexcept {
    if (one.connection.generation == 0) return;  // it left before its turn
    try {
      transport_.send(one.connection, one.frame);
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
    for (std::size_t i = std::min(kATurn, waiting()); i > 0; --i) send_oldest();
    sent_ = kATurn;
    transport_.flush();
    if (waiting() != 0) schedule();
  }

  asio::io_context& context_;
  Transport& transport_;
  Transport::Events& events_;
  HandlerMemory& memory_;
  std::vector<Waiting> waiting_;  // from first_ on; it keeps its room from round to round
  std::size_t first_ = 0;
  std::size_t sent_ = 0;  // in this turn
  bool scheduled_ = false;
};

}  // namespace muster::broker
