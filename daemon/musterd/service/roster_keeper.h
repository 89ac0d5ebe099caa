// Keeps the roster on disk in step with the registry: what happens to a backend is written down in
// the turn after it, and a backend hears that it is registered, or not any more, when that is done.
// Where the disk fails, or takes more than a second, it hears it all the same, and `status` has the
// problem. The loop's thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "muster/broker_view.h"

#include "broker/broker_server.h"
#include "musterd/state/roster.h"
#include "os/peer.h"

namespace muster::daemon {

class RosterKeeper {
 public:
  // All outlive it.
  RosterKeeper(const asio::any_io_executor& loop, RosterStore& store)
      : loop_(loop), store_(store), here_(os::current_whereabouts()), patience_(loop) {}

  // REQUIRES: before the server listens. Tells it whom to expect; the others are forgotten.
  void begin(broker::BrokerServer& server) {
    server_ = &server;
    unwatched_ = store_.load(here_);
    expect_unwatched();
  }

  void on_event(const Event& event) {
    using Kind = Event::Kind;
    if (server_ == nullptr) return;
    if (event.kind == Kind::kPeerRefused) note_refused();
    if (!event.key) return;
    switch (event.kind) {
      case Kind::kBackendRegistered:
      case Kind::kBackendReturned:
        note(*event.key, false);
        break;
      case Kind::kBackendDead:
      case Kind::kBackendDeregistered:
      case Kind::kBackendForgotten:
        note(*event.key, true);
        break;
      default:
        return;
    }
  }
  void on_record_changed(const BackendKey& key) noexcept {
    try {
      if (server_ != nullptr) note(key, false);
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): see check()
    }
  }

  // An operator says that nobody is missed: of those in a roster that was lost, of those who were
  // refused and are not listed, and of those who cannot be seen. False: there was none.
  bool forget_lost() {
    const bool were_refused = server_ != nullptr && server_->core().forget_refused();
    const bool were_unseen = server_ != nullptr && server_->core().forget_unseen(server_->now());
    store_.set_unlisted_refused(false);
    return store_.forget_lost() || were_refused || were_unseen;
  }

  // From time to time: an event may have been lost for want of memory, and with it that somebody
  // waits, or what was to be written down.
  void check() {
    if (server_ == nullptr) return;
    if (!server_->held().empty()) wait_for_disk();
    note_refused();  // some may have exited
    expect_unwatched();
    if (!has_missed_) return;
    const std::vector<BackendInfo> all = server_->core().backends({});
    has_missed_ = false;
    for (const BackendInfo& backend : all) note(backend.key, backend.state == BackendState::kDead);
  }

  // It tells the server whom to expect now.
  [[nodiscard]] bool is_expecting() const noexcept { return is_expecting_; }

  // `done` is called from the loop when all that was noted before is on disk. Where the disk fails
  // or takes more than a second, then.
  void when_written(std::function<void()> done) {
    const auto waiter = std::make_shared<Waiter>(loop_, std::move(done));
    waiter->patience.expires_after(kPatience);
    waiter->patience.async_wait([waiter](std::error_code) { waiter->done(); });
    waiters_.push_back(waiter);
    if (changed_.empty()) hand_over_waiters();
  }

  // Hands the store what is not written down yet: the process ends.
  void finish() {
    while (server_ != nullptr && !changed_.empty()) write();
    end();
  }
  // Nothing of the server is looked at any more.
  void end() {
    server_ = nullptr;
    patience_.cancel();
    for (const auto& waiter : std::exchange(waiters_, {})) waiter->patience.cancel();
  }

 private:
  using Changes = std::unordered_map<BackendKey, bool, BackendKeyHash>;  // true: it is gone

  // A look at /proc for each: a few of them a turn.
  static constexpr std::size_t kChangesOfATurn = 64;

  struct Expecting {
    explicit Expecting(bool& is) : is_expecting(is) { is_expecting = true; }
    ~Expecting() { is_expecting = false; }
    Expecting(const Expecting&) = delete;
    Expecting& operator=(const Expecting&) = delete;
    bool& is_expecting;
  };
  struct Waiter {
    Waiter(const asio::any_io_executor& loop, std::function<void()> then)
        : patience(loop), done(std::move(then)) {}
    asio::steady_timer patience;  // cancelled: it is on disk
    std::function<void()> done;
  };
  static constexpr std::chrono::seconds kPatience{1};

  // Those who are not listed stand in no roster: the next broker must know that it misses them.
  void note_refused() { store_.set_unlisted_refused(server_->core().has_unlisted_refused()); }

  void hand_over_waiters() {
    for (const auto& waiter : std::exchange(waiters_, {})) {
      store_.when_written([waiter] { waiter->patience.cancel(); });
    }
  }

  // Those that cannot be watched now are tried again; until then they are known to be missing.
  void expect_unwatched() {
    const Expecting now(is_expecting_);
    for (auto at = unwatched_.begin(); at != unwatched_.end();) {
      const RosterEntry& entry = *at;
      const auto expected =
          server_->expect({entry.registration, entry.uid, entry.gid, entry.pid, entry.start_ticks,
                           entry.quiesced, entry.refused, is_unseen(entry, here_)});
      if (expected == broker::Expected::kNotNow) break;
      const BackendKey key = entry.registration.key;
      at = unwatched_.erase(at);
      if (expected == broker::Expected::kGone) store_.note_gone(key);
    }
    store_.set_unwatched(unwatched_.size());
  }

  void note(const BackendKey& key, bool gone) {
    std::erase_if(unwatched_,
                  [&](const RosterEntry& entry) { return entry.registration.key == key; });
    // In the order in which they came, so that no user's many delay another's one for long.
    try {
      const auto [change, is_first] = changed_.try_emplace(key, gone);
      change->second = gone;
      if (is_first) put_in_order(change);
      write_later();
    } catch (...) {
      has_missed_ = true;
      throw;
    }
  }

  void put_in_order(Changes::iterator change) {
    try {
      order_.push_back(change->first);
    } catch (...) {
      changed_.erase(change);
      throw;
    }
  }

  // Not in the event: the core may not be asked from within.
  void write_later() {
    if (is_posted_ || changed_.empty()) return;
    asio::post(loop_, [this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.expired()) return;
      is_posted_ = false;
      try {
        write();
      } catch (...) {
        has_missed_ = true;
        throw;
      }
    });
    is_posted_ = true;
  }

  void write() {
    if (server_ == nullptr) return;
    for (std::size_t i = 0; i < kChangesOfATurn && !changed_.empty(); ++i) {
      const auto change = changed_.extract(order_.front());
      order_.pop_front();
      if (change.empty()) continue;
      // Found now, as the entry is: what is written is of these connections.
      auto done = confirm_when_written(server_->held(change.key()));
      const auto known = change.mapped() ? std::nullopt : server_->core().registered(change.key());
      if (!known) {
        store_.note_gone(change.key(), std::move(done));
        continue;
      }
      // Its record is good for a broker that sees its process again.
      if (known->is_unseen) {
        store_.note_quiesced(change.key(), known->quiesced, std::move(done));
        continue;
      }
      RosterEntry entry;
      entry.registration = known->registration;
      entry.uid = known->peer.uid;
      entry.gid = known->peer.gid;
      entry.pid = known->peer.process.pid;
      // Its process has exited: the one that has its connection is known to nobody.
      if (known->is_inherited) entry.pid = 0;
      entry.start_ticks =
          entry.pid > 0 ? os::start_time(entry.pid).value_or(0) : known->peer.process.unique;
      entry.boot_id = here_.boot_id;
      entry.namespaces = here_.namespaces;
      entry.quiesced = known->quiesced;
      entry.refused = known->refused;
      store_.note_registered(std::move(entry), std::move(done));
    }
    if (changed_.empty()) hand_over_waiters();
    write_later();
  }

  Journal::Durable confirm_when_written(std::vector<core::ConnectionId> held) {
    if (held.empty()) return {};
    wait_for_disk();
    return [this, held = std::move(held), alive = std::weak_ptr<int>(alive_)](bool written) {
      if (alive.expired() || server_ == nullptr) return;
      if (written) store_.set_late(false);
      // Not from inside: it may be the journal's own turn.
      asio::post(loop_, [this, held, alive] {
        for (const core::ConnectionId connection : held) {
          if (!alive.expired() && server_ != nullptr) server_->confirm(connection);
        }
      });
    };
  }

  // Looks at all that wait, again and again while there are any: who waited at the look before,
  // too, has waited long enough.
  void wait_for_disk() {
    if (std::exchange(is_waiting_, true)) return;
    seen_.clear();
    look_later();
  }

  void look_later() {
    patience_.expires_after(kBetweenLooks);
    patience_.async_wait([this, alive = std::weak_ptr<int>(alive_)](std::error_code error) {
      if (error || alive.expired() || server_ == nullptr) return;
      look();
    });
  }

  void look() {
    std::vector<core::ConnectionId> waiting = server_->held();
    std::sort(waiting.begin(), waiting.end());
    for (const core::ConnectionId connection : waiting) {
      if (!std::binary_search(seen_.begin(), seen_.end(), connection)) continue;
      store_.set_late(true);
      server_->confirm(connection);
    }
    is_waiting_ = !waiting.empty();
    seen_ = std::move(waiting);
    if (is_waiting_) look_later();
  }

  static constexpr std::chrono::milliseconds kBetweenLooks{500};

  asio::any_io_executor loop_;
  RosterStore& store_;
  os::Whereabouts here_;
  broker::BrokerServer* server_ = nullptr;
  Changes changed_;
  std::deque<BackendKey> order_;        // has all of changed_
  std::vector<RosterEntry> unwatched_;  // of the last broker's, not yet expected
  asio::steady_timer patience_;
  std::vector<core::ConnectionId> seen_;  // waited at the last look; ascending
  bool is_posted_ = false;
  bool is_expecting_ = false;
  std::vector<std::shared_ptr<Waiter>> waiters_;  // until all that changed is written
  bool is_waiting_ = false;
  bool has_missed_ = false;  // a change: they are all looked at again
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace muster::daemon
