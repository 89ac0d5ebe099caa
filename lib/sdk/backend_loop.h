// BackendCore with a socket, timers and mail, for whatever drives it: a thread of its own
// (sdk/backend_drivers.h) or the caller's io_context (sdk/backend_drivers.h).
//
// Threads: one thread drives (turn() and what is under "the loop"), under a mutex that nobody else
// holds for long; other threads leave what they have to say in a Mailbox. No handler runs under
// that mutex: they run from the HandlerQueue.
//
// The connection must not suffer from what the process does: a program that closes all its
// descriptors costs a new connection, and one that forks leaves its child no part in this one.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include "muster/socket_dir.h"

#include "os/unique_fd.h"
#include "sdk/backend_core.h"
#include "sdk/backend_link.h"
#include "sdk/handler_queue.h"

namespace muster {

class BackendLoop final : public BackendPort, public std::enable_shared_from_this<BackendLoop> {
 public:
  struct Hooks {
    // Any thread, under a lock: makes the driver call turn() soon.
    std::function<void()> wake;
    // The caller is on the thread that drives, where handlers run, too. Null: they never do.
    std::function<bool()> on_loop;
    // After something was done there outside of turn(): look at wants() again.
    std::function<void()> changed;
    // Asked before each attempt to connect, on the loop: a sentence where it must not be yet.
    std::function<std::string()> why_not_connect;
    // Another Backend of this process has the key.
    std::function<bool()> superseded;
  };

  BackendLoop(SocketDirSearch sockets, Registration registration, Backoff backoff, Hooks hooks);
  ~BackendLoop() override = default;

  // --- any thread
  void start(BackendHandlers handlers);  // once
  void activity();
  void stop(std::chrono::milliseconds patience);
  // False when it did not come to that in time.
  bool wait_until_stopped(std::chrono::milliseconds patience);
  [[nodiscard]] ConnectionState state() const noexcept { return state_.load(); }
  [[nodiscard]] bool in_handler() const noexcept { return handlers_.is_running_here(); }
  [[nodiscard]] bool is_held(std::string_view path) const { return core_.is_held(path); }
  [[nodiscard]] bool is_quiesced() const { return core_.is_quiesced(); }
  // For the destructor: waits for a handler that runs, unless it is called by that, says what is
  // left to say to the broker as far as that takes no waiting, and ends. No handler is called any
  // more. The driver's next turn() finds it ended.
  void abandon();

  // In a child that was forked, instead of everything else: its copy of the connection is let go,
  // which the parent's goes on without. Takes no lock.
  void let_go_in_forked_child() noexcept;
  [[nodiscard]] bool in_forked_child() const noexcept { return ::getpid() != pid_; }

  // --- the loop

  // What is waited for.
  struct Wants {
    int fd = -1;                   // to become readable
    std::uint64_t connection = 0;  // counts up with each fd
    bool write = false;            // and writable
    std::optional<std::chrono::steady_clock::time_point> time;
    bool ended = false;  // nothing any more
  };
  // Reads the mail, fires timers, reads and writes what the socket takes, and lets the handlers see
  // what came of it. To be called when anything that is wanted has come, and at any other time.
  Wants turn();
  [[nodiscard]] Wants wants();
  // Sockets that are not used any more, to be closed when nothing waits for them.
  [[nodiscard]] std::vector<std::unique_ptr<BackendLink>> take_old_links();
  [[nodiscard]] HandlerQueue& handlers() noexcept { return handlers_; }

 private:
  class Sink;

  std::string connect() override;
  void send(const wire::BackendFrame& frame) override;
  [[nodiscard]] bool blocked() const override { return link_ && link_->blocked(); }
  void disconnect() override;
  void arm(Timer timer, std::chrono::milliseconds delay) override;
  void disarm(Timer timer) override;
  [[nodiscard]] std::chrono::steady_clock::time_point now() const override;
  [[nodiscard]] std::uint64_t now_unix_ms() const override;
  void state_changed(ConnectionState state) override;
  [[nodiscard]] bool superseded() const override;
  [[nodiscard]] bool handles(OperationKind operation) const override {
    return handlers_.handles(operation);
  }
  [[nodiscard]] bool call(HandlerCall call) override { return handlers_.push(std::move(call)); }
  bool withdraw(RequestSerial serial) noexcept override { return handlers_.withdraw(serial); }

  // Runs `work` of the core, unless abandoned. False when it failed, and the core was told so.
  template <class Work>
  bool enter(Work work);
  void deliver(Mail& mail);
  void deliver_now(Mail mail);
  void break_down(const char* what) noexcept;
  void read_mail();
  void fire_timers();
  void read_socket();
  void write_socket();
  // A child that is forked finds the new socket in socket_, or has none of it. errno as of
  // socket().
  [[nodiscard]] os::UniqueFd make_socket();

  // The connection's descriptor, for whoever may take no lock; its inode tells whether it still is
  // that.
  struct SocketCopy {
    std::atomic<int> fd = -1;
    std::atomic<std::uint64_t> inode = 0;
  };

  const SocketDirSearch sockets_;
  const Hooks hooks_;
  const pid_t pid_;
  SocketCopy socket_;
  ActivityFlag activity_;
  HandlerQueue handlers_;
  const std::shared_ptr<Sink> sink_;

  std::mutex mutex_;  // all that follows
  bool abandoned_ = false;
  bool broken_ = false;    // the core could not even be told that something failed
  bool reads_on_ = false;  // the turn ended before all was read that is here
  BackendCore core_;
  std::unique_ptr<BackendLink> link_;
  std::uint64_t connection_ = 0;
  std::vector<std::unique_ptr<BackendLink>> old_links_;
  std::array<std::optional<std::chrono::steady_clock::time_point>, kTimers> timers_;
  wire::BrokerFrameDecoder decoder_;
  wire::BrokerFrame frame_;

  std::atomic<ConnectionState> state_ = ConnectionState::kConnecting;
  std::mutex stopped_mutex_;
  std::condition_variable stopped_;
};

}  // namespace muster
