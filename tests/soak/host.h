// A process that holds connections of backends and plays each of them, until it is killed.
//
// It does at once what it is ordered, and with each operation what behaviour.h says. One thread,
// one epoll set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "os/unique_fd.h"
#include "soak/behaviour.h"
#include "soak/orders.h"
#include "wire/backend_lane.h"

namespace muster::soak {

class Host {
 public:
  // `orders` is a descriptor of its own.
  Host(int orders, std::filesystem::path backend_socket, std::uint64_t seed);
  // Returns when nobody gives orders any more.
  void run();

 private:
  struct Connection {
    os::UniqueFd fd;
    std::uint32_t key = 0;
    bool announces = false;  // that it is registered
    bool tells_end = false;
    bool reads = true;
    std::string input;
  };

  void obey(const Order& order);
  void join(std::uint32_t key, bool announces);
  void drop(int fd);
  Connection* current(std::uint32_t key);
  void watch(const Connection& connection, bool reads, bool is_new);
  void ready(int fd, std::uint32_t events);
  void read(Connection& connection);
  void hear(Connection& connection, std::string_view body);
  void operate(Connection& connection, const OutgoingOperation& operation);
  void react(Connection& connection, BroadcastId id, bool alone);
  void cancelled(Connection& connection, BroadcastId id);
  void say(const Connection& connection, std::string_view bytes);
  void trouble(std::uint32_t key, std::string_view text);

  int orders_;
  std::filesystem::path socket_;
  std::uint64_t seed_;
  os::UniqueFd epoll_;
  std::map<int, std::unique_ptr<Connection>> connections_;
  std::vector<int> current_;                                 // by key; -1: none
  std::set<std::pair<std::uint32_t, BroadcastId>> bounced_;  // asked again, it acks
  wire::BrokerFrameDecoder decoder_;
  wire::BrokerFrame frame_;
  bool silent_ = false;
  std::uint64_t last_words_ = 0;  // acks until the end; 0: none is planned
};

}  // namespace muster::soak
