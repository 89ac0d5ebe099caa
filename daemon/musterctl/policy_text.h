// What a policy says of somebody, for people; and who that somebody is, by the accounts of this
// host.
#pragma once

#include <string>

#include "muster/access.h"

namespace muster::ctl {

// Puts the account's uid, primary group and other groups into the question. `user` is a name or a
// number; a number without an account has no groups. Returns what is wrong, as a sentence.
[[nodiscard]] std::string read_user(const std::string& user, PolicyQuestion& question);
// The first call sets the primary group, others add one. `first`: whether it is that.
[[nodiscard]] std::string read_group(const std::string& group, bool first,
                                     PolicyQuestion& question);

// "uid 1000 alice, gid 1000 alice, groups 20 dialout: denied", and a line for each step.
[[nodiscard]] std::string show_explanation(const PolicyQuestion& question,
                                           const PolicyExplanation& explanation);

}  // namespace muster::ctl
