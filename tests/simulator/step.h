// One step of a script: something that happens to the broker or around it.
//
// Steps name what they are about by numbers that the script chose (connection 3, process 2,
// broadcast 12), so a step means the same when others before it are left out; one whose subject is
// not there does nothing. That is what makes a failing script short by dropping steps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::simulator {

enum class StepKind : std::uint8_t {
  // What a backend's process does. What it says waits in its connection until it is delivered.
  kConnect,     // connection, process
  kRegister,    // connection, key, ack timeout (ms; -1: none), idle timeout (same), flags
  kAck,         // connection, broadcast
  kFail,        // connection, broadcast, reason
  kWorking,     // connection, broadcast, extend (ms), percent (-1: none)
  kActivity,    // connection
  kDeregister,  // connection
  kGarbage,     // connection
  kRead,        // connection, how many messages at most
  kClose,       // connection
  kHalfClose,   // connection: it sends nothing more, and keeps its end
  kExit,        // process, 1: a child keeps its sockets open
  // What the shell notices, when it does.
  kDeliver,  // connection: its next message, or its end
  kGone,     // connection: its process exited
  kFire,     // which of the deadlines that are due
  kStale,    // which of those that were due when they were cancelled
  kBogus,    // slot, generation: a deadline that nobody armed
  kGhost,    // connection, what: an event of a connection that was released
  kAdvance,  // microseconds
  kJump,     // milliseconds that the wall clock jumps
  // What an operator does.
  kStart,  // id (or above), operation, ack timeout (ms; -1: none), selection, operation key,
           // by whom (0: nobody who counts, else a user), deadline of the whole (ms; -1: none),
           // verify (0: no, else 1 and how long to wait, in ms), hold (0: none, 1: leased, 2: not),
           // its time (ms; 0: none, -1: one of 0 ms)
  kDryRun,    // operation, selection
  kCancel,    // broadcast
  kReport,    // broadcast
  kList,      // selection
  kWatch,     // 1: somebody wants every outcome
  kShutDown,  // 1: for a restart, which quiesces nobody
  kRestart,  // the broker is killed and starts again; 1: its sockets are kept, and who waits there;
             // 1: its roster is gone; in which of two pid namespaces it starts
  kResume,   // broadcast (0: any), selection
  kForget,   // key
  // What the broker's process runs into.
  kShortage,  // 1: no descriptor is left, so nobody is accepted; 0: there are some again
  kAccept,    // how many of those that wait, the oldest first
  // The core is saved, destroyed, and restored in another one.
  kSave,
  // An operator says that no process is in the way of those that were refused and are not listed.
  kForgetMissed,
  // The same of those that the broker cannot see, as it is in another pid namespace than before.
  kForgetUnseen,
  // A scan is done that was asked for, or one that nobody waits for: broadcast, verdict, who holds
  // (see holders_of()), how many files are busy.
  kScanned,
  // Holds: by their broadcasts.
  kEndHold,
  kHoldLeft,  // its operator's connection ended
  kKeepHold,  // by that user; 1: from now on it belongs to nobody
};
inline constexpr std::size_t kStepKinds = static_cast<std::size_t>(StepKind::kKeepHold) + 1;

// Flags of kRegister.
inline constexpr std::int64_t kHot = 1;  // has the label tier=hot
inline constexpr std::int64_t kBad = 2;  // breaks a rule
// It says how many of its connections were refused before: that many times kRefusedOnce.
inline constexpr std::int64_t kSaysRefused = 4;
inline constexpr std::int64_t kRefusedOnce = 8;

struct Step {
  StepKind kind = StepKind::kAdvance;
  std::array<std::int64_t, 10> args{};

  friend bool operator==(const Step&, const Step&) = default;
};

// "register connection=1 key=2 ack=-1 idle=-1 flags=0"
[[nodiscard]] std::string to_string(const Step& step);
// The inverse; nothing when it is no step.
[[nodiscard]] std::optional<Step> parse_step(std::string_view line);

// "name=number" off the front of `text`, which loses it; nothing when it begins otherwise.
struct NamedNumber {
  std::string_view name;
  std::int64_t number = 0;
};
[[nodiscard]] std::optional<NamedNumber> take_named_number(std::string_view& text);

}  // namespace muster::simulator
