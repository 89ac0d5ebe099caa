// Users and groups of this host by name. REQUIRES: one thread (start-up, or the loop's).
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

namespace muster::daemon {

// A gid or uid that no account has: chown(2) takes it for "leave it".
inline constexpr uid_t kNobodysId = ~uid_t{0};

[[nodiscard]] std::optional<uid_t> find_user(const std::string& name);
[[nodiscard]] std::optional<gid_t> find_group(const std::string& name);
// "muster", or the number where there is no name.
[[nodiscard]] std::string user_name(uid_t uid);
[[nodiscard]] std::string group_name(gid_t gid);
// Whether the accounts say that `uid` is in `gid`, by its primary group or another.
[[nodiscard]] bool is_member(uid_t uid, gid_t gid);

}  // namespace muster::daemon
