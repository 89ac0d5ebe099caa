// What the program says: stable lines on standard output, each written whole and at once, so that
// whoever reads them through a pipe sees a line before the process can die.
//
//   waiting SOCKET                               nobody listens there; tried again and again
//   connected                                    and not registered, with --register
//   registered KEY incarnation N
//   hold ID PATH                                 active at registration; no PATH: of a quiesce
//   hold-started ID PATH                         it acked a release with it, or was told of it
//   first ready N                                      all N of the process are registered (N > 1)
//   operation ID release-handles PATH
//   operation ID quiesce maintenance             or idle-timeout or broker-shutdown
//   redelivered ID release-handles PATH          an id that this backend was given before
//   sent ID WHAT                                 with --verbose: each answer, once it is written
//   cancelled ID
//   hold-ended ID completed                      or abandoned, expired, resumed; or while-away: it
//                                                is not active any more at the next registration
//   opened FILE                                  with --keep-open
//   closed FILE
//   cannot-open FILE: REASON
//   refused CODE: REASON                         CODE is invalid, protocol, denied, replaced,
//                                                quota, shutting-down or too-slow
//   disconnected                                 the broker ended the connection, without a reason
//   dropped                                      this side ended it, as its behaviour says
//   forked PID                                   the child that holds the socket
//   bad-frame PROBLEM                            the broker sent what is against the wire
//   deregistered                                 the broker confirmed it
//
// With --count each line begins with the backend's replica in brackets: "[3] registered ...".
#pragma once

#include <string>
#include <string_view>

#include "muster/registration.h"

namespace muster::fake {

class Output {
 public:
  // `quiet`: only "ready" is printed.
  explicit Output(bool quiet) : quiet_(quiet) {}

  void line(std::string_view prefix, std::string_view text);
  void ready(std::size_t count);

 private:
  bool quiet_;
};

// "release-handles PATH", "quiesce maintenance".
[[nodiscard]] std::string describe(const BroadcastOperation& operation);
// "7 PATH", "7" of a quiesce
[[nodiscard]] std::string describe(const ActiveHold& hold);
// "shutting-down"
[[nodiscard]] std::string describe(RefusalCode code);

}  // namespace muster::fake
