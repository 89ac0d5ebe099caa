// BackendCore on Asio: its socket and its timers, on the io_context that it is given.
//
// Threads: the core runs on the io_context's thread, under a mutex that nobody else holds but the
// one who destroys the Backend: that is what makes sure that no handler runs, or begins, after the
// destructor. It is recursive because a handler may destroy its own Backend. Other threads leave
// what they have to say in a Mailbox.
//
// Lifetime: kept by what it has pending on the io_context, and so gone when it has released its
// socket and timers, or with the io_context itself.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unistd.h>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "net/framed_stream.h"
#include "os/unique_fd.h"
#include "sdk/backend_core.h"

namespace muster {

class BackendLoop final : public BackendPort, public std::enable_shared_from_this<BackendLoop> {
 public:
  // Asked before each attempt to connect, on the loop: a sentence where it must not be yet.
  using MayConnect = std::function<std::string()>;

  // `context` outlives every handler that is pending on it.
  [[nodiscard]] static std::shared_ptr<BackendLoop> make(asio::io_context& context,
                                                         std::string socket_path,
                                                         Registration registration, Backoff backoff,
                                                         MayConnect may_connect = {});
  ~BackendLoop() override = default;

  // --- any thread
  void start(BackendHandlers handlers);  // once
  void activity();
  void stop(std::chrono::milliseconds patience);
  // False when it did not come to that in time.
  bool wait_until_stopped(std::chrono::milliseconds patience);
  [[nodiscard]] ConnectionState state() const noexcept { return state_.load(); }
  [[nodiscard]] bool on_loop() const;
  // For the destructor: says what is left to say, as far as that takes no waiting, and ends. Waits
  // for a handler that runs, unless it is called by that handler. No handler is called any more.
  void abandon();

  // In a child that was forked, instead of everything else: its copy of the connection is let go,
  // which the parent's goes on without. Takes no lock.
  void let_go_in_forked_child() noexcept;

 private:
  class Sink;
  struct Deadline {
    explicit Deadline(asio::io_context& context) : timer(context) {}
    asio::steady_timer timer;
    std::uint64_t generation = 0;  // a timer that is too late to be cancelled is ignored
  };

  BackendLoop(asio::io_context& context, std::string socket_path, Registration registration,
              Backoff backoff, MayConnect may_connect);

  std::string connect() override;
  void send(const wire::BackendFrame& frame) override;
  void disconnect() override;
  void arm(Timer timer, std::chrono::milliseconds delay) override;
  void disarm(Timer timer) override;
  [[nodiscard]] std::chrono::steady_clock::time_point now() const override;
  [[nodiscard]] std::uint64_t now_unix_ms() const override;
  void state_changed(ConnectionState state) override;

  // On the loop: runs `work` of the core, unless abandoned.
  template <class Work>
  void enter(Work work);
  void read_mail();
  // False when the stream is not the connection any more.
  bool received(const std::shared_ptr<net::FramedStream>& stream, const net::Received& what);
  static asio::awaitable<void> read(std::shared_ptr<BackendLoop> self,
                                    std::shared_ptr<net::FramedStream> stream);
  void release();
  [[nodiscard]] bool in_forked_child() const noexcept { return ::getpid() != pid_; }
  // A child that is forked finds the new socket in socket_, or has none of it. errno as of
  // socket().
  [[nodiscard]] os::UniqueFd make_socket();

  // The connection's descriptor, for whoever may take no lock; its inode tells whether it still is
  // that.
  struct SocketCopy {
    std::atomic<int> fd = -1;
    std::atomic<std::uint64_t> inode = 0;
  };

  asio::io_context& context_;
  const std::string socket_path_;
  const MayConnect may_connect_;
  const pid_t pid_;
  SocketCopy socket_;
  ActivityFlag activity_;
  std::shared_ptr<Sink> sink_;

  std::recursive_mutex mutex_;  // all that follows
  bool abandoned_ = false;
  BackendCore core_;
  std::shared_ptr<net::FramedStream> stream_;
  std::array<Deadline, kTimers> deadlines_;
  wire::BrokerFrameDecoder decoder_;
  wire::BrokerFrame frame_;

  std::atomic<ConnectionState> state_ = ConnectionState::kConnecting;
  std::mutex stopped_mutex_;
  std::condition_variable stopped_;
};

}  // namespace muster
