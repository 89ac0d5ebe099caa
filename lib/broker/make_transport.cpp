#include <stdexcept>
#include <string>
#include <system_error>

#include "broker/epoll_transport.h"
#include "broker/transport.h"
#include "broker/uring_transport.h"

namespace muster::broker {

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
