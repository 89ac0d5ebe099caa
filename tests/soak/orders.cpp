#include "soak/orders.h"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <system_error>

namespace muster::soak {
namespace {

template <class Message>
void send_message(int fd, const Message& message) {
  while (::send(fd, &message, sizeof(message), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "send");
  }
}

template <class Message>
std::optional<Message> receive_message(int fd) {
  Message message;
  for (;;) {
    const auto got = ::recv(fd, &message, sizeof(message), 0);
    if (got == static_cast<ssize_t>(sizeof(message))) return message;
    if (got < 0 && errno == EINTR) continue;
    return std::nullopt;
  }
}

}  // namespace

void send_order(int fd, const Order& order) { send_message(fd, order); }
std::optional<Order> receive_order(int fd) { return receive_message<Order>(fd); }

void send_reply(int fd, Reply reply, std::string_view text) {
  std::copy_n(text.data(), std::min(text.size(), reply.text.size() - 1), reply.text.data());
  send_message(fd, reply);
}
std::optional<Reply> receive_reply(int fd) { return receive_message<Reply>(fd); }

}  // namespace muster::soak
