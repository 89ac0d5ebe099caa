// One fake backend: connects, registers, is asked, answers as its behaviours say, comes back.
//
// It has one connection that counts, and for a while a second, older one (second-connection).
// Lives on the loop's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fake_backend/connection.h"
#include "fake_backend/kept_files.h"
#include "fake_backend/loop.h"
#include "fake_backend/options.h"
#include "fake_backend/output.h"
#include "wire/backend_lane.h"

namespace muster::fake {

enum class BackendState {
  kWaiting,    // not connected; will be
  kConnected,  // not registered (yet)
  kRegistered,
  kLeaving,      // deregistering
  kAway,         // not connected and not coming back, as its behaviour says
  kGone,         // the same because the broker ended it, with --no-reconnect
  kUnreachable,  // never was connected, with --no-reconnect
  kRefused,      // the broker refused for good
};
inline constexpr std::size_t kBackendStates = 8;

// What all backends of the process share.
struct SharedState {
  const Options& options;
  Loop& loop;
  Output& output;
  wire::BrokerFrameDecoder& decoder;
  // How many backends are in each state.
  std::array<std::size_t, kBackendStates> counts{};
  std::function<void()> on_change;  // after each change of the counts

  [[nodiscard]] std::size_t count(BackendState state) const {
    return counts[static_cast<std::size_t>(state)];
  }
};

class FakeBackend final : Connection::Owner {
 public:
  FakeBackend(SharedState& shared, std::size_t index);
  FakeBackend(const FakeBackend&) = delete;
  FakeBackend& operator=(const FakeBackend&) = delete;

  // Begins to connect, in a timer. Once.
  void start();
  // Deregisters where it is registered, closes, stays away.
  void leave();

  // --- for its behaviours (fake_backend/play.h)
  void answer(std::uint64_t request_id, const Ack& message);
  void answer(std::uint64_t request_id, const Failure& message);
  void answer(std::uint64_t request_id, const Working& message);
  void send(std::string_view bytes, const std::string& what);
  // Runs `task` if the connection is the same then.
  void later(std::chrono::milliseconds delay, std::function<void()> task);
  void drop();
  void drop_and_return(std::chrono::milliseconds delay);
  void connect_again();  // beside the connection that there is
  void deregister();
  void stay_away() { stays_away_ = true; }  // once the broker ends the connection
  [[nodiscard]] bool is_cancelled(std::uint64_t request_id) const;
  [[nodiscard]] Connection& connection() { return *connection_; }
  [[nodiscard]] const std::string& registration_frame() const { return registration_frame_; }
  void say(const std::string& line) { shared_.output.line(prefix_, line); }

 private:
  // An operation that was asked lately, so that the same one is known when it comes again.
  struct Asked {
    std::uint64_t id = 0;
    std::size_t behaviour = 0;
    bool cancelled = false;
    std::optional<ReleaseHandles> release;
    std::optional<HoldId> hold;
  };

  void on_frame(Connection& connection, std::string_view body) override;
  void on_bad_frame(Connection& connection, std::string_view problem) override;
  void on_ended(Connection& connection) override;

  void on_message(const OutgoingOperation& operation);
  void on_message(std::uint64_t request_id, const wire::Cancel&);
  void on_message(const Registered& registered);
  void on_message(Connection& connection, const Refusal& refusal);
  void on_message(const HoldEnded& ended);
  void on_message(const wire::Deregistered&);

  void become(BackendState state);
  void connect();
  void connect_in(std::chrono::milliseconds delay);
  void register_now();
  void connection_is_over();
  [[nodiscard]] Asked* find(std::uint64_t request_id);
  // What an ack says is done before it is sent, and what follows after.
  void release_files(const Asked& asked);
  void after_ack(const Asked& asked);
  void hold_starts(ActiveHold hold);
  void hold_ends(HoldId id, std::string_view why);

  SharedState& shared_;
  const std::string prefix_;
  const Registration registration_;
  const std::string registration_frame_;
  BackendState state_ = BackendState::kWaiting;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Connection> older_;
  std::uint64_t generation_ = 0;  // of connection_
  bool stays_away_ = false;
  bool waiting_told_ = false;
  bool was_connected_ = false;
  std::optional<Refusal> refused_;  // on connection_
  std::array<Asked, 32> asked_{};   // a ring
  std::size_t asked_next_ = 0;
  std::array<std::size_t, BroadcastOperation::kKnown> times_{};  // asked, by OperationKind
  KeptFiles files_;
  std::vector<ActiveHold> holds_;
};

}  // namespace muster::fake
