// Cases that are hard and must not be missing: a run that never came across one proves nothing
// about it. Counted by the oracle and the simulation, and held above zero by a test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::simulator {

enum class Case : std::uint8_t {
  kReturned,                  // the process of a lost connection came back in time
  kReplacedBySame,            // a second connection of the same process took a live key
  kShared,                    // a second living process of the same user took the key
  kSharedReturned,            // and came back
  kLost,                      // its process lives, and the grace has passed
  kLostReturned,              // and came back
  kLostAsked,                 // and was a target
  kUnseenLost,                // as kLost, of one whose process cannot be seen
  kUnseenShared,              // as kShared, of processes that only their pidfds tell apart
  kUnknownShared,             // as kShared, of a process that nothing tells apart from others
  kInherited,                 // its process exited, and a child has its connection
  kInheritedEnded,            // and let go of it
  kHalfClosed,                // its backend sends nothing more, and somebody has the other end
  kHalfClosedReturned,        // and its process came back on another connection
  kHalfClosedHeld,            // and its process exited while another had the other end
  kHalfClosedEnded,           // and that one let go of it
  kUnseenExpected,            // it is of the roster of a broker in another pid namespace
  kUnseenReplaced,            // and the next process with its key took its place
  kUnseenReplacedWhileAsked,  // and was sent what was open, or that failed
  kUnseenReplacedByRefused,   // and that process was refused
  kUnseenFollowed,            // a process came after one that took a place and left
  kUnseenReturned,            // and was known when it came back
  kUnseenAsked,               // and it did not come, and was a target
  kUnseenForgotten,           // and an operator said that it is gone
  kUnseenSeen,                // and the broker came back to where it sees it
  kReconnectingAsked,         // a broadcast began while it was away
  kExpectedReturned,          // it was in the roster of a broker that restarted
  kQuiesced,
  kResumed,
  kResumedWhileAway,
  kStillQuiesced,         // one of several quiesces ended
  kPreflightAcked,        // a backend would, and nothing follows from it
  kPreflightAckedLate,    // the same, after its time
  kPreflightRedelivered,  // it came back and was asked again whether it would
  kPreflightHeld,         // it was asked for with a hold or a proof, and refused
  kPreflightOtherKey,     // its operation key is a real request's, or the reverse
  kForgotten,
  kRefusedListed,      // a process was refused, and is listed
  kRefusedAgain,       // and tried again
  kRefusedAnew,        // with another registration, or for another reason
  kRefusedAsked,       // a broadcast began while it was listed
  kRefusedRegistered,  // it registered
  kRefusedInPlace,     // as it was listed
  kRefusedExited,
  kRefusedForgotten,
  kRefusedExpected,  // it was refused before the broker restarted
  kRefusedUnknown,   // nothing tells which process it is
  kRefusedMissed,    // there was no room for it
  kTurnedAway,       // a process was refused, and its key is not known
  kTurnedAwayAgain,
  kTurnedAwayExited,
  kTurnedAwayRegistered,
  kMissedNotSelected,  // somebody is missed who can be none of those that are selected
  kTurnedAwayStill,    // a backend of its process is known, but not all that were refused
  kMissedAsked,        // and a broadcast began
  kWholeDeadline,      // the deadline of the whole passed
  kKeyAfterRestart,    // an operation key was used before the broker restarted
  kOtherUid,           // wanted a live key, and was denied
  kAcceptedLate,
  kAcceptedDead,   // its process exited while it waited
  kNeverAccepted,  // the broker ended first
  kRestartWhileRunning,
  kSavedWhileRunning,
  kClockJumpWhileRunning,
  kMayNotConnect,
  kMayNotRegister,
  kConnectionsUsedUp,
  kRegistrationsUsedUp,
  kBroadcastsUsedUp,
  kRunningBytesUsedUp,
  kQueueUsedUp,
  kReserveUsed,          // root started a broadcast where another user could not
  kReportOfUserDropped,  // over its user's quota of bytes
  kReportOfMostDropped,  // of the user who had the most, where all had too much
  kReportReserved,       // and root, who had the most, kept its own
  kVerifiedClear,        // was verified, and clear
  kVerifiedNotClear,     // was verified, and was not
  kVerifiedAgain,        // was scanned again, as it was not clear
  kVerifyingCancelled,
  kVerifyingShutDown,  // the broker went down meanwhile
  kVerifyingAcked,     // a late ack came meanwhile
  kScanOfNobody,       // a scan that nobody waited for
  kHoldBegan,
  kHoldCompleted,
  kHoldAbandoned,
  kHoldExpired,
  kHoldResumed,
  kHoldEndedEarly,   // while backends were asked
  kHoldAckedAfter,   // and one acked after that
  kHoldListed,       // a backend registered during a hold
  kHoldListedAgain,  // one that acked came back during it
  kHoldNotListed,    // one registered that it does not select
  kHoldEndTold,
  kHoldEndMissed,     // who was told of a hold is not there at its end
  kHoldEndedForSome,  // one of several quiesces of a backend ended with a hold
  kHoldViolated,
  kHoldViolatedBefore,    // the same holder was found again
  kHoldCrowded,           // more holders than a hold tells of
  kHoldPossibly,          // one that may hold nothing: no violation
  kHoldBusy,              // a file is busy, and nobody has it
  kHoldLastScan,          // the scan before the end is told
  kHoldLastScanAgain,     // and again, as it could not see all
  kHoldLastScanWaits,     // the end was asked for while it was scanned
  kHoldExpected,          // it went on after a restart
  kHoldExpiredMeanwhile,  // its time passed while there was no broker
  kHoldKept,              // its operator came back
  kHoldDetached,          // its operator left it to its time
  kHoldOwnerGone,         // its operator did not come back
  kHoldDenied,            // another user wanted to keep it
  kHoldLeftGoingDown,     // its operator left while the broker went down
  kHoldsUsedUp,
  kHoldTextUsedUp,   // the paths of all have no room in a message
  kHoldTextReserve,  // root began one where another user could not
  kHoldPinned,       // a report stays as its hold goes on
  kHoldSaved,
  kEnd,
};
inline constexpr std::size_t kCases = static_cast<std::size_t>(Case::kEnd);

class Cases {
 public:
  void saw(Case what, std::uint64_t times = 1) noexcept {
    count_[static_cast<std::size_t>(what)] += times;
  }
  [[nodiscard]] std::uint64_t of(Case what) const noexcept {
    return count_[static_cast<std::size_t>(what)];
  }
  void add(const Cases& more) noexcept;
  friend bool operator==(const Cases&, const Cases&) = default;

 private:
  std::array<std::uint64_t, kCases> count_{};
};

[[nodiscard]] std::string_view to_string(Case what);
[[nodiscard]] std::string to_string(const Cases& cases);

}  // namespace muster::simulator
