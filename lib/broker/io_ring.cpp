// The only file of the library that includes liburing.
#include "broker/io_ring.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <liburing.h>
#include <new>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>

#include "os/unique_fd.h"

namespace muster::broker {
namespace {

constexpr std::uint16_t kBufferGroup = 0;
constexpr std::size_t kPage = 4096;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

// Why a ring could not be made, where the error's own text would not tell.
std::string explain(int error) {
  switch (error) {
    case ENOSYS:
      return "io_uring is not in this kernel";
    case EINVAL:
      return "this kernel's io_uring is older than Linux 6.1";
    case EPERM:
    case EACCES:
      return "io_uring is not allowed here (kernel.io_uring_disabled or a system call filter)";
    case ENOMEM:
      return "io_uring is out of memory (is RLIMIT_MEMLOCK too low?)";
    default:
      return "io_uring cannot be set up";
  }
}

void* allocate_pages(std::size_t bytes) {
  void* const memory = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

bool IoRing::Completion::has_buffer() const noexcept { return (flags & IORING_CQE_F_BUFFER) != 0; }
bool IoRing::Completion::more() const noexcept { return (flags & IORING_CQE_F_MORE) != 0; }

void IoRing::Exit::operator()(::io_uring* ring) const noexcept {
  io_uring_queue_exit(ring);
  delete ring;
}

void IoRing::Free::operator()(void* memory) const noexcept { std::free(memory); }

IoRing::IoRing(int event_descriptor) {
  auto ring = std::make_unique<::io_uring>();
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  parameters.cq_entries = kCompletions;
  const int error = -io_uring_queue_init_params(kRequests, ring.get(), &parameters);
  if (error != 0) fail(error, explain(error));
  ring_.reset(ring.release());
  io_uring_ring_dontfork(ring_.get());
  io_uring_register_ring_fd(ring_.get());  // saves a look-up in each call; it works without, too
  set_up_buffers();
  be_silent();
  if (const int failed = -io_uring_register_eventfd(ring_.get(), event_descriptor); failed != 0) {
    fail(failed, explain(failed));
  }
  check_that_it_works(event_descriptor);
}

IoRing::~IoRing() = default;

void IoRing::set_up_buffers() {
  buffers_.reset(static_cast<char*>(allocate_pages(kBuffers * kBufferBytes)));
  // The kernel goes round all of them, however few are in use at a time: so they are memory from
  // the start, and what a broker needs does not seem to grow while it works.
  std::memset(buffers_.get(), 0, kBuffers * kBufferBytes);
  buffer_ring_.reset(
      static_cast<::io_uring_buf_ring*>(allocate_pages(kBuffers * sizeof(::io_uring_buf))));
  io_uring_buf_ring_init(buffer_ring_.get());
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffer_ring_.get());
  registration.ring_entries = kBuffers;
  registration.bgid = kBufferGroup;
  const int error = -io_uring_register_buf_ring(ring_.get(), &registration, 0);
  if (error != 0) fail(error, explain(error));
  for (unsigned i = 0; i < kBuffers; ++i) give_back(i);
}

// A kernel, a filter or an emulation may know every call and flag and still not do what is built
// upon here.
void IoRing::check_that_it_works(int event_descriptor) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    fail(errno, "socketpair");
  }
  const os::UniqueFd one(ends[0]);
  const os::UniqueFd other(ends[1]);
  std::vector<Completion> got;
  bool good =
      receive(one.get(), 1) && submit() && be_told() && send(other.get(), "x", 2) && submit();
  eventfd_t ignored = 0;
  good = good && ::eventfd_read(event_descriptor, &ignored) == 0;
  be_silent();
  good = submit_and_collect() && good;
  take(got);
  // The send was silent, the receive stays armed.
  good = good && got.size() == 1 && got[0].tag == 1 && got[0].more() && got[0].has_buffer() &&
         bytes(got[0]) == "x";
  for (const Completion& completion : got) {
    if (completion.has_buffer()) give_back(completion);
  }
  got.clear();
  ::shutdown(one.get(), SHUT_RDWR);
  good = submit_and_collect() && good;
  take(got);
  good = good && got.size() == 1 && got[0].result == 0 && !got[0].more();
  if (!good) fail(EOPNOTSUPP, "io_uring does not work here");
}

// --- requests

::io_uring_sqe* IoRing::next_request(std::uint64_t tag) noexcept {
  ::io_uring_sqe* const request = io_uring_get_sqe(ring_.get());
  if (request != nullptr) request->user_data = tag;
  return request;
}

// MSG_WAITALL makes a short send a failure, so that it is told; MSG_DONTWAIT keeps it from being
// finished later, when something else may have been sent before it.
bool IoRing::send(int socket, std::string_view bytes, std::uint64_t tag) noexcept {
  ::io_uring_sqe* const request = next_request(tag);
  if (request == nullptr) return false;
  io_uring_prep_send(request, socket, bytes.data(), bytes.size(),
                     MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL);
  request->flags = IOSQE_CQE_SKIP_SUCCESS;
  return true;
}

bool IoRing::receive(int socket, std::uint64_t tag) noexcept {
  ::io_uring_sqe* const request = next_request(tag);
  if (request == nullptr) return false;
  io_uring_prep_recv_multishot(request, socket, nullptr, 0, 0);
  request->flags = IOSQE_BUFFER_SELECT;
  request->buf_group = kBufferGroup;
  return true;
}

bool IoRing::wait_writable(int socket, std::uint64_t tag) noexcept {
  ::io_uring_sqe* const request = next_request(tag);
  if (request == nullptr) return false;
  io_uring_prep_poll_add(request, socket, POLLOUT);
  return true;
}

void IoRing::forget(int socket) noexcept {
  const io_uring_sq& queue = ring_->sq;
  for (unsigned i = *queue.khead; i != queue.sqe_tail; ++i) {
    ::io_uring_sqe& request = queue.sqes[i & queue.ring_mask];
    if (request.fd != socket || request.opcode == IORING_OP_NOP) continue;
    const std::uint64_t tag = request.user_data;
    io_uring_prep_nop(&request);
    request.user_data = tag;
  }
}

bool IoRing::has_requests() const noexcept { return io_uring_sq_ready(ring_.get()) != 0; }

// --- doing it

bool IoRing::submit() noexcept {
  while (has_requests()) {
    const int result = io_uring_submit(ring_.get());
    if (result <= 0 && result != -EINTR) return false;
  }
  return true;
}

bool IoRing::submit_and_collect() noexcept {
  if (!has_requests() && !has_news()) return true;
  int result = 0;
  do {
    result = io_uring_submit_and_get_events(ring_.get());
  } while (result == -EINTR);
  return result >= 0 && (!has_requests() || submit());
}

void IoRing::take(std::vector<Completion>& completions) {
  for (;;) {
    unsigned head = 0;
    unsigned count = 0;
    const ::io_uring_cqe* completion = nullptr;
    completions.reserve(completions.size() + io_uring_cq_ready(ring_.get()));
    io_uring_for_each_cqe(ring_.get(), head, completion) {
      completions.push_back({completion->user_data, completion->res, completion->flags});
      ++count;
    }
    io_uring_cq_advance(ring_.get(), count);
    // What found no room comes now that there is some.
    if (!io_uring_cq_has_overflow(ring_.get()) || io_uring_get_events(ring_.get()) < 0) return;
  }
}

std::string_view IoRing::bytes(const Completion& completion) const noexcept {
  const unsigned buffer = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  return {buffers_.get() + buffer * kBufferBytes, static_cast<std::size_t>(completion.result)};
}

void IoRing::give_back(const Completion& completion) noexcept {
  give_back(completion.flags >> IORING_CQE_BUFFER_SHIFT);
}

void IoRing::give_back(unsigned buffer) noexcept {
  io_uring_buf_ring_add(buffer_ring_.get(), buffers_.get() + buffer * kBufferBytes, kBufferBytes,
                        static_cast<std::uint16_t>(buffer), io_uring_buf_ring_mask(kBuffers), 0);
  io_uring_buf_ring_advance(buffer_ring_.get(), 1);
}

// --- waiting

void IoRing::be_silent() noexcept { (void)io_uring_cq_eventfd_toggle(ring_.get(), false); }

// The kernel says first that there is something and looks then whether it may tell; here it is the
// other way round, so one of the two sees the other.
bool IoRing::be_told() noexcept {
  (void)io_uring_cq_eventfd_toggle(ring_.get(), true);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // Its flag is set after the work is added, and may be set when the work is done already; then it
  // stays until there is more. So what the flag is about is done here: work that is added from now
  // on is told, and where nothing comes of it, there was none. A call may leave some for the next.
  constexpr int kCalls = 4;
  for (int left = kCalls; left > 0 && has_news(); --left) {
    if (has_completions() || io_uring_get_events(ring_.get()) < 0) return false;
  }
  return !has_completions();
}

bool IoRing::has_completions() const noexcept {
  return io_uring_cq_ready(ring_.get()) != 0 || io_uring_cq_has_overflow(ring_.get());
}

bool IoRing::has_news() const noexcept {
  return (IO_URING_READ_ONCE(*ring_->sq.kflags) & IORING_SQ_TASKRUN) != 0 || has_completions();
}

}  // namespace muster::broker
