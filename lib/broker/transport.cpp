#include "broker/transport.h"

#include <algorithm>
#include <exception>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "broker/epoll_transport.h"
#include "broker/handler_memory.h"
#include "broker/uring_transport.h"

namespace muster::broker {

bool has_peer(int socket) noexcept {
  pollfd end{socket, 0, 0};  // POLLRDHUP would tell of one that only sends nothing more, too
  return ::poll(&end, 1, 0) == 0;
}

void Transport::end_after_exception(Events& events, ConnectionId connection) noexcept {
  try {
    throw;
  } catch (const std::exception& e) {
    events.handling_failed(connection, e.what());
  } catch (...) {
    events.handling_failed(connection, "an unknown exception");
  }
  hang_up(connection);
}

BrokenConnections::BrokenConnections(asio::io_context& context, Transport::Events& events, End end)
    : context_(context),
      memory_(asio::use_service<HandlerMemory>(context)),
      events_(events),
      end_(std::move(end)) {}

void BrokenConnections::add(ConnectionId connection, core::LossCause cause) {
  broken_.push_back({connection, cause});
  schedule();
}

void BrokenConnections::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(context_, PooledHandler{&memory_, [this] { turn(); }});
}

void BrokenConnections::turn() {
  scheduled_ = false;
  if (broken_.empty()) return;
  events_.turn_begins();
  // More may come while these end.
  const auto some = std::min(broken_.size(), kATurn);
  const std::vector<Broken> now(broken_.begin(),
                                broken_.begin() + static_cast<std::ptrdiff_t>(some));
  broken_.erase(broken_.begin(), broken_.begin() + static_cast<std::ptrdiff_t>(some));
  if (!broken_.empty()) schedule();
  for (const Broken& one : now) {
    if (!end_(one.connection, one.cause)) return;
  }
}

std::unique_ptr<Transport> make_transport(std::string_view kind, asio::io_context& context,
                                          std::size_t max_queued_bytes, Transport::Events& events,
                                          std::string* fell_back) {
  const bool is_auto = kind == "auto";
  if (!is_auto && kind != "epoll" && kind != "io_uring") {
    throw std::invalid_argument("the transport '" + std::string(kind) +
                                "' is not known: use auto, epoll or io_uring");
  }
  if (kind != "epoll") {
    try {
      return std::make_unique<UringTransport>(context, max_queued_bytes, events);
    } catch (const std::system_error& error) {
      if (!is_auto) {
        throw std::runtime_error("transport io_uring unavailable, use auto or epoll: " +
                                 std::string(error.what()));
      }
      if (fell_back != nullptr) *fell_back = error.what();
    }
  }
  return std::make_unique<EpollTransport>(context, max_queued_bytes, events);
}

}  // namespace muster::broker
