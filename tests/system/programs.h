// A broker, backends and musterctl as processes of their own, in a directory of their own.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/broker_holdings.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/test_transport.h"

namespace muster::test {

class Programs {
 public:
  Programs() { start_broker(); }

  void start_broker() {
    brokers_.emplace_back(musterd({"--transport", test_transport()}), options());
    brokers_.back().wait_for("listening");
    holdings_.emplace(dir_.path());
  }
  Process& broker() { return brokers_.back(); }
  // Ends every backend. What the broker holds then that it did not hold at the beginning.
  std::string leaked_by_broker() {
    backends_.clear();
    return holdings_->leaked();
  }

  // Starts a fake backend and waits until it is registered.
  Process& backend(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("muster-fake-backend"));
    backends_.emplace_back(std::move(arguments), options());
    backends_.back().wait_for("registered");
    return backends_.back();
  }
  // One that is known and dead.
  void dead_backend(const std::string& service) {
    backend({"--service", service}).end(SIGKILL);
    broker().wait_for("backend dead");
  }

  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), program("musterctl"));
    return arguments;
  }
  // musterctl, to its end.
  Finished ctl(std::vector<std::string> arguments) const {
    return run_program(command(std::move(arguments)), options());
  }
  // musterctl, while it waits.
  [[nodiscard]] Process start(std::vector<std::string> arguments) const {
    return Process(command(std::move(arguments)), options());
  }
  [[nodiscard]] const std::filesystem::path& dir() const noexcept { return dir_.path(); }
  [[nodiscard]] ProcessOptions options() const {
    return {{{"MUSTER_SOCKET_DIR", dir_.path().native()}, {"TZ", "UTC"}}, dir_.path()};
  }

 private:
  TempDir dir_;
  std::list<Process> brokers_;
  std::optional<BrokerHoldings> holdings_;  // of the last
  std::list<Process> backends_;
};

}  // namespace muster::test
