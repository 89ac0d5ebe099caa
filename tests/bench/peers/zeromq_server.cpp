#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>
#include <zmq.h>

#include "bench/forked_subject.h"
#include "bench/frames.h"
#include "bench/peers/peers.h"
#include "bench/peers/protocols.h"
#include "bench/round_server.h"

namespace muster::bench {
namespace {

void check_zeromq(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

class ZeromqServer final : public RoundServer {
 public:
  explicit ZeromqServer(const std::filesystem::path& path)
      : context_(zmq_ctx_new()), router_(zmq_socket(context_, ZMQ_ROUTER)) {
    if (router_ == nullptr) check_zeromq(-1, "zmq_socket");
    const int mandatory = 1;  // else it drops what it cannot send, without a word
    check_zeromq(zmq_setsockopt(router_, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof(mandatory)),
                 "ROUTER");
    const int backlog = 4'096;
    check_zeromq(zmq_setsockopt(router_, ZMQ_BACKLOG, &backlog, sizeof(backlog)), "backlog");
    check_zeromq(zmq_bind(router_, ("ipc://" + path.native()).c_str()), "zmq_bind");
  }

  void idle(int control) override {
    std::array<zmq_pollitem_t, 2> items{
        {{router_, 0, ZMQ_POLLIN, 0}, {nullptr, control, ZMQ_POLLIN, 0}}};
    while ((items[1].revents & ZMQ_POLLIN) == 0) {
      check_zeromq(zmq_poll(items.data(), items.size(), -1), "zmq_poll");
      if ((items[0].revents & ZMQ_POLLIN) != 0) take_registration();
    }
  }

  void expect_clients(std::size_t count) override {
    while (clients_.size() < count) take_registration();
  }

  std::size_t round(std::chrono::steady_clock::time_point& end) override {
    for (const std::string& client : clients_) send_to(client, operation_);
    for (std::size_t i = 0; i < clients_.size(); ++i) receive();
    end = std::chrono::steady_clock::now();
    return 0;
  }

 private:
  // The router says who it was, then what was said.
  void receive() {
    const int size = zmq_recv(router_, identity_.data(), identity_.size(), 0);
    check_zeromq(size, "zmq_recv");
    identity_size_ = static_cast<std::size_t>(size);
    check_zeromq(zmq_recv(router_, body_.data(), body_.size(), 0), "zmq_recv");
  }

  void take_registration() {
    receive();
    clients_.emplace_back(identity_.data(), identity_size_);
    send_to(clients_.back(), registered_);
  }

  void send_to(const std::string& client, const std::string& body) {
    check_zeromq(zmq_send(router_, client.data(), client.size(), ZMQ_SNDMORE), "zmq_send");
    check_zeromq(zmq_send(router_, body.data(), body.size(), 0), "zmq_send");
  }

  const std::string operation_ = sample_operation_frame();
  const std::string registered_ = sample_registered_frame();
  void* context_;
  void* router_;
  std::vector<std::string> clients_;
  std::array<char, 256> identity_{};
  std::size_t identity_size_ = 0;
  std::array<char, 1'024> body_{};
};

}  // namespace

SubjectSpec zeromq_subject() {
  SubjectSpec spec;
  spec.kind = SubjectSpec::Kind::kOther;
  spec.name = "ZeroMQ";
  int major = 0;
  int minor = 0;
  int patch = 0;
  zmq_version(&major, &minor, &patch);
  spec.version = std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
  spec.start = [](const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "router.sock";
    auto subject = std::make_unique<ForkedSubject>(
        path, [] { return std::make_unique<ZmtpProtocol>(); },
        [&](int control) {
          ZeromqServer server(path);
          serve_rounds(control, server);
        });
    subject->wait_for_clients(0);  // it listens when it answers
    return subject;
  };
  return spec;
}

}  // namespace muster::bench
