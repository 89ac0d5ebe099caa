// Sockets that a broker listens on, in a directory of their own, and peers of theirs.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "os/unique_fd.h"
#include "support/temp_dir.h"

namespace muster::fuzz {

enum class Lane { kBackend, kControl };

class UnixSockets {
 public:
  // The listening socket.
  [[nodiscard]] os::UniqueFd listen(Lane lane) const;
  // None when nobody listens.
  [[nodiscard]] os::UniqueFd connect(Lane lane) const;

 private:
  [[nodiscard]] std::filesystem::path path(Lane lane) const;

  test::TempDir dir_;
};

// What the peer takes now; the rest is lost.
void send_all(const os::UniqueFd& socket, std::string_view bytes);
// Appends what is there. False when the connection ended and nothing was there.
bool receive_all(const os::UniqueFd& socket, std::string& received);

// The same before and after: what was opened meanwhile was closed.
[[nodiscard]] int lowest_free_descriptor();

}  // namespace muster::fuzz
