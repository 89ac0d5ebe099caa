#include "bench/uring_floor.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <liburing.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <vector>

#include "bench/forked_subject.h"
#include "bench/frames.h"
#include "bench/round_server.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

constexpr unsigned kRequests = 512;
constexpr unsigned kCompletions = 16'384;
constexpr unsigned kBuffers = 512;
constexpr std::size_t kBufferBytes = 1'024;
constexpr int kBufferGroup = 0;

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
}

// What a completion is of; the descriptor is in the lower half of its tag.
enum class Of : std::uint64_t { kControl = 1, kListener, kConnection, kSend };

std::uint64_t tag(Of of, int fd) {
  return static_cast<std::uint64_t>(of) << 32U | static_cast<std::uint32_t>(fd);
}

class UringServer final : public RoundServer {
 public:
  explicit UringServer(int listener) : buffers_(kBuffers * kBufferBytes) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    parameters.cq_entries = kCompletions;
    check(io_uring_queue_init_params(kRequests, &ring_, &parameters), "io_uring");
    io_uring_buf_ring_init(buffer_ring());
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_.data());
    registration.ring_entries = kBuffers;
    registration.bgid = kBufferGroup;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "io_uring's buffers");
    for (unsigned i = 0; i < kBuffers; ++i) give_back(i);
    io_uring_prep_multishot_accept(request(tag(Of::kListener, listener)), listener, nullptr,
                                   nullptr, SOCK_CLOEXEC);
  }
  ~UringServer() override { io_uring_queue_exit(&ring_); }
  UringServer(const UringServer&) = delete;
  UringServer& operator=(const UringServer&) = delete;

  void idle(int control) override {
    io_uring_prep_poll_add(request(tag(Of::kControl, control)), control, POLLIN);
    for (asked_ = false; !asked_;) wait();
  }

  void expect_clients(std::size_t count) override {
    while (clients_.size() < count) wait();
  }

  std::size_t round(std::chrono::steady_clock::time_point& end) override {
    answers_ = 0;
    for (const int client : clients_) send(client, operation_);
    while (answers_ < clients_.size()) wait();
    end = std::chrono::steady_clock::now();
    return 0;
  }

 private:
  ::io_uring_sqe* request(std::uint64_t of) {
    ::io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
      check(io_uring_submit(&ring_), "io_uring");
      entry = io_uring_get_sqe(&ring_);
    }
    entry->user_data = of;
    return entry;
  }

  void send(int client, const std::string& bytes) {
    ::io_uring_sqe* const entry = request(tag(Of::kSend, client));
    io_uring_prep_send(entry, client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
  }

  void receive(int client) {
    ::io_uring_sqe* const entry = request(tag(Of::kConnection, client));
    io_uring_prep_recv_multishot(entry, client, nullptr, 0, 0);
    entry->flags = IOSQE_BUFFER_SELECT;
    entry->buf_group = kBufferGroup;
  }

  ::io_uring_buf_ring* buffer_ring() {
    return reinterpret_cast<::io_uring_buf_ring*>(entries_.data());
  }

  void give_back(unsigned buffer) {
    io_uring_buf_ring_add(buffer_ring(), buffers_.data() + buffer * kBufferBytes, kBufferBytes,
                          static_cast<std::uint16_t>(buffer), io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(buffer_ring(), 1);
  }

  void wait() {
    if (const int result = io_uring_submit_and_wait(&ring_, 1); result != -EINTR) {
      check(result, "io_uring");
    }
    unsigned head = 0;
    unsigned count = 0;
    const ::io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
      handle(*completion);
      ++count;
    }
    io_uring_cq_advance(&ring_, count);
  }

  void handle(const ::io_uring_cqe& completion) {
    const int fd = static_cast<int>(completion.user_data & 0xFFFF'FFFFU);
    switch (static_cast<Of>(completion.user_data >> 32U)) {
      case Of::kControl:
        asked_ = true;
        return;
      case Of::kListener:
        if (completion.res >= 0) receive(completion.res);
        return;
      case Of::kSend:
        throw std::runtime_error("the bare io_uring loop could not send");
      case Of::kConnection:
        if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
          give_back(completion.flags >> IORING_CQE_BUFFER_SHIFT);
        }
        if (completion.res > 0) take_message(fd);
        // Without a buffer for it the receive ends, and is armed again.
        if (completion.res != 0 && (completion.flags & IORING_CQE_F_MORE) == 0) receive(fd);
        return;
    }
  }

  void take_message(int client) {
    const auto index = static_cast<std::size_t>(client);
    if (index >= is_registered_.size()) is_registered_.resize(index + 1);
    if (is_registered_[index]) {
      ++answers_;
      return;
    }
    is_registered_[index] = true;
    clients_.push_back(client);
    send(client, registered_);
  }

  const std::string operation_ = sample_operation_frame();
  const std::string registered_ = sample_registered_frame();
  ::io_uring ring_{};
  alignas(4096) std::array<::io_uring_buf, kBuffers> entries_{};  // its head is over the first
  std::vector<char> buffers_;
  std::vector<int> clients_;
  std::vector<bool> is_registered_;  // by descriptor
  std::size_t answers_ = 0;
  bool asked_ = false;
};

}  // namespace

SubjectSpec uring_floor() {
  SubjectSpec spec;
  spec.kind = SubjectSpec::Kind::kYardstick;
  spec.name = "bare io_uring";
  spec.start = [](const std::filesystem::path& directory) {
    const std::filesystem::path socket = directory / "backend.sock";
    const os::UniqueFd listener = listen_at(socket);
    return std::make_unique<ForkedSubject>(
        socket, [] { return std::make_unique<MusterProtocol>(); },
        [&](int control) {
          UringServer server(listener.get());
          serve_rounds(control, server);
        });
  };
  return spec;
}

}  // namespace muster::bench
