#include <stdexcept>
#include <string>

#include "broker/epoll_transport.h"
#include "broker/transport.h"

namespace muster::broker {

std::unique_ptr<Transport> make_transport(std::string_view kind, asio::io_context& context,
                                          std::size_t max_queued_bytes, Transport::Events& events) {
  if (kind == "epoll") return std::make_unique<EpollTransport>(context, max_queued_bytes, events);
  throw std::invalid_argument("the transport '" + std::string(kind) + "' is not known: use epoll");
}

}  // namespace muster::broker
