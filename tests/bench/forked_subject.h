// A server that the bench forks from itself and drives over a socket pair (round_server.h).
#pragma once

#include <functional>

#include "bench/child.h"
#include "bench/subject.h"
#include "os/unique_fd.h"

namespace muster::bench {

class ForkedSubject : public Subject {
 public:
  // Its end of the socket pair.
  using Serve = std::function<void(int control)>;
  using MakeProtocol = std::function<std::unique_ptr<ClientProtocol>()>;

  // Clients connect to `socket`.
  ForkedSubject(std::filesystem::path socket, MakeProtocol protocol, const Serve& serve);

  pid_t pid() const override { return child_.pid(); }
  std::filesystem::path socket() const override { return socket_; }
  std::unique_ptr<ClientProtocol> protocol() const override { return protocol_(); }
  void wait_for_clients(std::size_t count) override;
  void start_round() override;
  void take_acceptance() override;
  RoundTimes take_times(std::size_t count) override;
  double operator_round(std::size_t count) override;

 private:
  std::filesystem::path socket_;
  MakeProtocol protocol_;
  os::UniqueFd control_;
  Child child_;
};

[[nodiscard]] std::unique_ptr<Subject> start_floor(const std::filesystem::path& directory);

}  // namespace muster::bench
