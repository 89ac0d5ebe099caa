// Unix sockets, blocking, for the bench. Everything throws std::system_error.
#pragma once

#include <filesystem>
#include <string_view>

#include "os/unique_fd.h"

namespace muster::bench {

[[nodiscard]] os::UniqueFd listen_at(const std::filesystem::path& path);
[[nodiscard]] os::UniqueFd datagram_socket_at(const std::filesystem::path& path);
// Waits while the listener's queue is full.
[[nodiscard]] os::UniqueFd connect_to(const std::filesystem::path& path);
void send_all(int fd, std::string_view bytes);
// Exactly `size` bytes.
void receive_all(int fd, char* out, std::size_t size);

}  // namespace muster::bench
