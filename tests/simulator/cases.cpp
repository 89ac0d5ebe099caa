#include "simulator/cases.h"

namespace muster::simulator {
namespace {

// In the order of Case.
constexpr std::array<std::string_view, kCases> kNames = {
    "returned in time",
    "replaced by the same process",
    "a key shared by two processes",
    "came back to a shared key",
    "lost",
    "came back when lost",
    "asked when lost",
    "lost and never to be seen",
    "a key shared by two that cannot be seen",
    "a key shared by one that nothing tells apart",
    "exited with a connection that another has",
    "dead when that ended, too",
    "half closed",
    "came back after it was half closed",
    "exited with a half-closed connection that another has",
    "dead when that ended",
    "expected and not to be seen",
    "took the place of one that cannot be seen",
    "took it while a broadcast ran",
    "took it and was refused",
    "followed one that took it and left",
    "came back and could not be seen before",
    "asked when it cannot be seen",
    "forgotten as it cannot be seen",
    "seen again",
    "asked when reconnecting",
    "came back after a restart",
    "quiesced",
    "resumed",
    "resumed while away",
    "still quiesced by another",
    "preflights acked",
    "preflights acked late",
    "preflights sent again",
    "preflights that wanted a hold or a proof",
    "preflights with the key of a real request",
    "forgotten",
    "refused and listed",
    "refused again",
    "refused in another way",
    "asked when refused",
    "registered after it was refused",
    "registered as it was listed",
    "exited after it was refused",
    "forgotten after it was refused",
    "refused before a restart",
    "refused and not to be told apart",
    "refused and not listed",
    "turned away",
    "turned away again",
    "exited after it was turned away",
    "registered after it was turned away",
    "missed by no selection",
    "one of several that were turned away",
    "asked when one was not listed",
    "deadlines of the whole",
    "keys from before a restart",
    "denied to another uid",
    "accepted late",
    "accepted when dead",
    "never accepted",
    "restarts while broadcasts ran",
    "saved while broadcasts ran",
    "clock jumps while broadcasts ran",
    "may not connect",
    "may not register",
    "connections used up",
    "registrations used up",
    "broadcasts used up",
    "bytes of running broadcasts used up",
    "queue used up",
    "used the reserve",
    "reports over a user's bytes",
    "reports of who had most",
    "reports that were reserved",
    "verified as clear",
    "verified as not clear",
    "scanned again for its verification",
    "cancelled while verified",
    "ended as the broker goes down",
    "acked late while verified",
    "scans that nobody waits for",
    "holds that began",
    "holds that were completed",
    "holds that were abandoned",
    "holds that expired",
    "holds that were resumed",
    "holds that ended while backends were asked",
    "acked a hold that had ended",
    "registered during a hold",
    "acked and came back during a hold",
    "registered and is not selected by a hold",
    "told of the end of a hold",
    "away at the end of a hold",
    "still quiesced after a hold",
    "violations of holds",
    "violated again",
    "violations above the most",
    "possibly violated",
    "violated by nobody that was found",
    "last scans of holds",
    "last scans again",
    "ends that waited for a scan",
    "holds after a restart",
    "holds that expired meanwhile",
    "holds kept by their operators",
    "holds left to their time",
    "holds whose operator did not return",
    "holds denied to another user",
    "holds left as the broker goes down",
    "holds used up",
    "paths of holds used up",
    "paths of holds from the reserve",
    "reports that a hold keeps",
    "saved while a hold went on",
};
static_assert(!kNames.back().empty());

}  // namespace

void Cases::add(const Cases& more) noexcept {
  for (std::size_t i = 0; i < kCases; ++i) count_[i] += more.count_[i];
}

std::string_view to_string(Case what) { return kNames[static_cast<std::size_t>(what)]; }

std::string to_string(const Cases& cases) {
  std::string text;
  for (std::size_t i = 0; i < kCases; ++i) {
    if (i != 0) text += ", ";
    text.append(kNames[i]).append(1, ' ');
    text += std::to_string(cases.of(static_cast<Case>(i)));
  }
  return text;
}

}  // namespace muster::simulator
