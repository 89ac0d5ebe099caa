// What a host or container may not let a test do. Each answer is "" or the reason for
// GTEST_SKIP(): a sentence that ends up in the summary of `./dev test`.
#pragma once

#include <string>

namespace muster::test {

// A mount namespace of one's own, and a file system in it that nobody else sees. Needs
// CAP_SYS_ADMIN, and a root directory that is a mount point: that of a plain chroot is none.
[[nodiscard]] std::string why_no_private_mounts();

// Pid and time namespaces. Needs CAP_SYS_ADMIN.
[[nodiscard]] std::string why_no_pid_namespaces();

// A pseudo terminal: /dev/ptmx and /dev/pts.
[[nodiscard]] std::string why_no_terminal();

// A socket buffer over net.core.wmem_max. Needs CAP_NET_ADMIN.
[[nodiscard]] std::string why_no_forced_buffers();

// Programs as several users, by setpriv. Needs root, and users other than root: a user namespace
// may have only one.
[[nodiscard]] std::string why_not_several_users();

}  // namespace muster::test
