// Backends' connections: how many may be open, who made them, and taking them from the listeners.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>
#include <vector>

#include <asio/basic_waitable_timer.hpp>
#include <asio/io_context.hpp>

#include "muster/broker_view.h"

#include "broker/transport.h"
#include "os/peer.h"
#include "os/process_setup.h"
#include "os/unique_fd.h"

namespace muster::broker {

// How many descriptors backends may have open: all that the process may have, less what it had
// open before and less a reserve, so that an operator gets in when backends have used up the rest.
//
// Counted, not guessed: a connection is one, and so is each process that has connections. The
// limit can be changed from outside (prlimit(1)): it is looked up again when it seems to be
// reached, while nothing is accepted, and for every status. One thread.
class DescriptorBudget {
 public:
  // Reserve 0: nothing is kept, and the kernel alone says when there are no more.
  explicit DescriptorBudget(std::uint64_t reserve) noexcept
      : wanted_reserve_(reserve), limit_(os::descriptor_limit()) {}

  // What is open now, apart from `of_backends`, stays open as long as the broker runs.
  void measure(std::uint64_t of_backends) {
    const std::uint64_t open = os::count_open_descriptors();
    others_ = open - std::min(open, of_backends);
  }

  void look_up_limit() noexcept { limit_ = os::descriptor_limit(); }

  // Whether one more connection, and its process, have room beside `of_backends`.
  [[nodiscard]] bool has_room(std::uint64_t of_backends) noexcept {
    if (wanted_reserve_ == 0 || fits(of_backends + 2)) return true;
    look_up_limit();
    return fits(of_backends + 2);
  }

  // `exhausted` is the caller's to say.
  [[nodiscard]] DescriptorUsage usage(std::uint64_t of_backends) noexcept {
    look_up_limit();
    return {others_ + of_backends, limit_, reserve(), false};
  }

 private:
  // Where the limit is low, backends need some, too.
  [[nodiscard]] std::uint64_t reserve() const noexcept {
    return std::min(wanted_reserve_, limit_ / 4);
  }
  [[nodiscard]] bool fits(std::uint64_t of_backends) const noexcept {
    return others_ + of_backends + reserve() <= limit_;
  }

  std::uint64_t wanted_reserve_;
  std::uint64_t limit_;
  std::uint64_t others_ = 0;
};

// The supplementary groups of peers. Most peers have those of the one before: they share one list.
class PeerGroups {
 public:
  // Null: none.
  [[nodiscard]] std::shared_ptr<const std::vector<gid_t>> of(int socket) {
    std::vector<gid_t> groups = os::groups_of_peer(socket);
    if (groups.empty()) return nullptr;
    if (!last_ || *last_ != groups) {
      last_ = std::make_shared<const std::vector<gid_t>>(std::move(groups));
    }
    return last_;
  }

 private:
  std::shared_ptr<const std::vector<gid_t>> last_;
};

// Takes connections from listening sockets, and says who connected.
//
// A bounded number for each time that a listener is readable, so that a storm of connections does
// not starve those that are there. It pauses when memory runs out, or when no descriptors are left
// but those that are reserved, and says so once. It tries again when some are given back, and every
// 100 ms, since others may give some back, too. A connection that was accepted waits as well when
// there is no descriptor to look up its process. One thread, the io_context's.
//
// A process that connects again and again is looked up once. That is exact: a listener hands out
// connections in the order in which they were made, so if a process that was accepted from it
// before still runs, it has had its pid since before this connection was made, and nobody else can
// have made it with that pid.
class Acceptor final : Transport::Watcher {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // `peer` has no pidfd where still_runs() said yes to its process.
    virtual void accepted(os::UniqueFd socket, os::Peer peer) = 0;
    // Whether the process of a peer that was accepted before is watched, and runs at this moment.
    [[nodiscard]] virtual bool still_runs(const os::ProcessIdentity& process) const noexcept = 0;
    // Empty when one more connection may have descriptors; else why not.
    [[nodiscard]] virtual std::string shortage() = 0;
    // One sentence for whoever looks after the broker.
    virtual void accept_trouble(std::string_view sentence, std::optional<uid_t> user) noexcept = 0;
    // An exception cost one connection; the rest are accepted as before.
    virtual void accepting_failed(std::string_view what) noexcept = 0;
  };

  Acceptor(asio::io_context& context, Transport& transport, Events& events);
  ~Acceptor() override;

  // REQUIRES: a listening, non-blocking Unix stream socket. Throws std::system_error. It takes the
  // place of one that was lost, if there is one.
  void listen(os::UniqueFd listener);
  // Looks soon, not from here, whether it can go on.
  void descriptors_came_back() noexcept;
  // Whether another process shut one of them down, which is closed here then. Looks at all of them.
  [[nodiscard]] bool has_lost_listener() noexcept;
  // Whether each listener is watched, or will be when a pause is over.
  [[nodiscard]] bool is_serving() const noexcept;
  [[nodiscard]] bool is_paused() const noexcept { return paused_; }
  // Closes the listeners, for good.
  void stop() noexcept;

 private:
  static constexpr int kBatch = 64;
  static constexpr std::chrono::milliseconds kPause{100};

  struct Listener {
    os::UniqueFd socket;  // none: it is lost
    Transport::WatchId watch;
  };

  void readable(std::uint64_t token) override;
  void accept_batch(std::size_t listener);
  // Closes it when it was shut down. Watched, it would be readable for ever.
  void drop_if_shut_down(Listener& listener) noexcept;
  // False when it must wait for descriptors. `listener`: the number of the one it came from.
  bool introduce(os::UniqueFd socket, std::size_t listener);
  void pause(const std::string& why);
  void wait(std::chrono::milliseconds time);
  void resume();
  void watch_all();
  // Pauses, when it must, and says whether it did.
  bool pauses_for_shortage();
  void say_recovered() noexcept;

  Transport& transport_;
  Events& events_;
  std::vector<Listener> listeners_;
  os::UniqueFd waiting_;  // accepted, its process not looked up yet
  std::size_t waiting_listener_ = 0;
  os::ProcessIdentity last_;  // the process that was looked up last; unique 0: none
  std::size_t last_listener_ = 0;
  bool short_of_descriptors_ = false;  // and it was said
  bool paused_ = false;
  bool hurried_ = false;  // the pause is over in the next turn of the loop
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      pause_;
};

}  // namespace muster::broker
