// The floor as a subject.
#include <fcntl.h>

#include "bench/floor_server.h"
#include "bench/forked_subject.h"
#include "bench/frames.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

class FloorSubject final : public ForkedSubject {
 public:
  using ForkedSubject::ForkedSubject;
  void wait_for_clients(std::size_t) override {}  // it knows a client before it answers it
};

}  // namespace

std::unique_ptr<Subject> start_floor(const std::filesystem::path& directory) {
  const std::filesystem::path socket = directory / "backend.sock";
  const os::UniqueFd listener = listen_at(socket);
  ::fcntl(listener.get(), F_SETFL, O_NONBLOCK);
  return std::make_unique<FloorSubject>(
      socket, [] { return std::make_unique<MusterProtocol>(); },
      [&](int control) { run_floor_server(listener.get(), control); });
}

}  // namespace muster::bench
