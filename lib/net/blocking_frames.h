// One frame at a time over a blocking Unix stream socket: for threads that may wait.
//
// Any thread, one at a time for each socket. How long a call waits at most, set_patience() says.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace muster::net {

// For each read and each write from now on.
void set_patience(int socket, std::chrono::milliseconds patience) noexcept;

// The body of the next frame, of `max_body` bytes at most. Empty, with a sentence in `problem`,
// when none came. Reads nothing of what may follow it.
[[nodiscard]] std::string receive_frame(int socket, std::size_t max_body, std::string& problem);

// Empty when it was written; else the sentence. REQUIRES: body.size() <= wire::kMaxControlBody.
[[nodiscard]] std::string send_frame(int socket, std::string_view body);

}  // namespace muster::net
