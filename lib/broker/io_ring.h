// An io_uring for stream sockets: sends that go out together, receives that stay armed.
//
// What is used of io_uring, and why: SINGLE_ISSUER with DEFER_TASKRUN, so that the kernel works for
// this ring only inside calls of this class, on the thread that made the ring; received bytes go
// to buffers that the kernel takes from a ring of them, so that an idle connection has none; an
// eventfd tells that there is something to collect, and is silent while somebody collects anyway.
//
// The kernel must be 6.1 or newer and allow it; the constructor finds out by doing all of it once.
// Not thread-safe; everything happens on the thread that made it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

struct io_uring;
struct io_uring_buf_ring;
struct io_uring_sqe;

namespace muster::broker {

class IoRing {
 public:
  // What became of one request. Bytes that came with it stay where they are until give_back().
  struct Completion {
    std::uint64_t tag = 0;
    std::int32_t result = 0;  // bytes, or a negative errno
    std::uint32_t flags = 0;
    [[nodiscard]] bool has_buffer() const noexcept;
    // The request is still armed: more will come of it.
    [[nodiscard]] bool more() const noexcept;
  };

  // `event_descriptor`, a non-blocking eventfd, becomes readable when there is something to take or
  // to collect, while be_told() holds. Throws std::system_error; its text says what the kernel does
  // not have or does not allow.
  explicit IoRing(int event_descriptor);
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // --- requests. They wait until they are submitted; false: no room before that.
  // The whole of `bytes`, or as much as the socket takes without waiting. Completes only when that
  // was not all, before submit() returns. REQUIRES: `bytes` stays until then.
  [[nodiscard]] bool send(int socket, std::string_view bytes, std::uint64_t tag) noexcept;
  // Completes for each time that something is received, until one without more().
  [[nodiscard]] bool receive(int socket, std::uint64_t tag) noexcept;
  // Completes once, when the socket takes bytes again (or is broken).
  [[nodiscard]] bool wait_writable(int socket, std::uint64_t tag) noexcept;
  // Requests that name this descriptor and were not submitted come to nothing. For one that is
  // about to be closed: another could stand behind its number when they are submitted.
  void forget(int socket) noexcept;
  [[nodiscard]] bool has_requests() const noexcept;

  // --- doing it. False when the kernel took less than there is; what it did not take stays.
  bool submit() noexcept;
  // Lets the kernel do what it has put off for us, too, if there is any.
  bool submit_and_collect() noexcept;
  // Appends what has completed. All of it, also what the kernel had no room for.
  void take(std::vector<Completion>& completions);

  [[nodiscard]] std::string_view bytes(const Completion& completion) const noexcept;
  void give_back(const Completion& completion) noexcept;

  // --- waiting
  void be_silent() noexcept;
  // False when there is something already: whoever would wait now might wait for ever.
  [[nodiscard]] bool be_told() noexcept;
  // There is something to take or to collect; or there was, and the kernel says so late.
  [[nodiscard]] bool has_news() const noexcept;
  static constexpr unsigned kCompletions = 4096;  // that the ring holds

 private:
  [[nodiscard]] bool has_completions() const noexcept;
  static constexpr unsigned kRequests = 512;
  static constexpr unsigned kBuffers = 512;
  static constexpr std::size_t kBufferBytes = 1024;

  struct Exit {
    void operator()(::io_uring* ring) const noexcept;
  };

  void set_up_buffers();
  void give_back(unsigned buffer) noexcept;
  void check_that_it_works(int event_descriptor);
  [[nodiscard]] ::io_uring_sqe* next_request(std::uint64_t tag) noexcept;

  struct Free {
    void operator()(void* memory) const noexcept;
  };
  friend class IoRingInspection;  // tests

  std::unique_ptr<char, Free> buffers_;
  std::unique_ptr<::io_uring_buf_ring, Free> buffer_ring_;
  std::unique_ptr<::io_uring, Exit> ring_;  // first to go: the kernel knows the others
};

}  // namespace muster::broker
