// Where a fault happens: a real musterd with a configuration of its own, real backends, operators.
//
// A fault is a function that is given a host. It runs more than once
// (tests/system/fault_fixture.h): it leaves nothing behind that the host does not know of, and
// says at_its_worst() when the broker has the most to bear. In one of the runs that call ends the
// broker and does not return.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/control.h"

#include "support/process.h"
#include "support/sanitized.h"
#include "support/temp_dir.h"
#include "support/test_backend.h"

namespace muster::test {

// How the broker of a fault differs from the others.
struct BrokerSetup {
  std::map<std::string, std::string> broker = {};   // keys of [broker], values as in TOML
  std::map<std::string, std::string> control = {};  // the same for [control]
  std::vector<std::pair<std::string, std::string>> environment = {};
  // Runs in the broker's process before musterd does, with the host's directory.
  std::function<bool(const std::string& directory)> before_exec = {};
};

class FaultHost {
 public:
  enum class Run {
    kWarmUp,   // a tenth of the fault, so that the broker has what such a load needs
    kFull,     //
    kSigterm,  // SIGTERM at its worst
  };
  static constexpr std::chrono::milliseconds kAnswersWithin{kSanitized ? 1000 : 100};
  // What at_its_worst() throws when the broker has ended as it should.
  struct BrokerEnded {};

  // `sigterm`: for Run::kSigterm, with deadlines so short that the broker ends soon; they are an
  // hour otherwise.
  FaultHost(BrokerSetup setup, bool sigterm);

  // --- for faults
  [[nodiscard]] Process& broker() { return *broker_; }
  [[nodiscard]] ControlClient& operators();  // one that stays connected
  // `full` of something, or what is enough for a warm-up.
  [[nodiscard]] std::size_t dose(std::size_t full) const;
  void at_its_worst();

  // A fake backend, and one that is registered.
  Process& spawn(std::vector<std::string> arguments);
  Process& backend(const std::string& service, std::vector<std::string> more = {});
  // One that the test plays by hand.
  [[nodiscard]] TestBackend connect() const { return TestBackend(sockets() / "backend.sock"); }
  [[nodiscard]] TestBackend join(const std::string& service) const;
  // Starts a broadcast and does not wait for it. No `timeout`: an hour, or what is short.
  BroadcastId release(const std::string& path,
                      std::optional<std::chrono::milliseconds> timeout = {});
  // How it ended: "release-handles /cache: acked a 1.0.0".
  std::string result(BroadcastId id);
  [[nodiscard]] Finished ctl(std::vector<std::string> arguments) const;
  [[nodiscard]] Process start_ctl(std::vector<std::string> arguments) const;
  // kill -9, and another one in the same place.
  void restart_broker();

  [[nodiscard]] const TempDir& dir() const noexcept { return dir_; }
  [[nodiscard]] std::filesystem::path sockets() const { return dir_ / "s"; }
  // A file that the broker sees at that path, in its own mount namespace.
  [[nodiscard]] std::filesystem::path as_broker_sees(const std::filesystem::path& path) const;

  // --- for who runs them
  void begin(Run run) { run_ = run; }
  // Ends whoever is still there but the broker.
  void clear() { processes_.clear(); }

 private:
  void start_broker();
  void write_configuration() const;

  BrokerSetup setup_;
  bool sigterm_;
  Run run_ = Run::kFull;
  TempDir dir_;
  std::optional<Process> broker_;
  std::optional<ControlClient> operators_;
  std::deque<Process> processes_;
};

// The broker answers; the best of three, as the machine may have been busy with something else.
[[nodiscard]] std::chrono::microseconds ping_time(ControlClient& client);
// An absolute path of so many bytes.
[[nodiscard]] std::string path_of(std::size_t bytes);
// Resident memory of a process (VmRSS).
[[nodiscard]] std::size_t resident_kib(pid_t pid);

}  // namespace muster::test
