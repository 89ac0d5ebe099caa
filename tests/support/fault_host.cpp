#include "support/fault_host.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <utility>

#include <gtest/gtest.h>

#include "support/service_manager.h"
#include "support/test_transport.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFarAway = std::chrono::hours(1);
// Longer than a fault takes to inflict, and shorter than kEndsWithin.
constexpr milliseconds kSoon{kSanitized ? 5000 : 250};
// A broker that goes down waits for its backends (kSoon), for those that may come back (the grace)
// and for operators who do not read (a second). The rest is for a machine that is busy.
constexpr std::chrono::seconds kEndsWithin{kSanitized ? 30 : 6};

std::string table(const char* name, const std::map<std::string, std::string>& keys) {
  std::string text = std::string("[") + name + "]\n";
  for (const auto& [key, value] : keys) text.append(key).append(" = ").append(value).append("\n");
  return text;
}

}  // namespace

FaultHost::FaultHost(BrokerSetup setup, bool sigterm)
    : setup_(std::move(setup)), sigterm_(sigterm) {
  leave_service_manager();
  write_configuration();
  start_broker();
}

void FaultHost::write_configuration() const {
  const auto deadline = '"' + std::to_string((sigterm_ ? kSoon : kFarAway).count()) + "ms\"";
  // What is reserved for operators is no more after the fault than after the warm-up.
  std::map<std::string, std::string> broker = {{"ack_timeout", deadline},
                                               {"max_ack_timeout", deadline},
                                               {"register_timeout", "\"1h\""},
                                               {"reconnect_grace", "\"20ms\""},
                                               {"reports_kept", "4"},
                                               {"dead_kept", "4"},
                                               {"transport", '"' + test_transport() + '"'}};
  for (const auto& [key, value] : setup_.broker) broker[key] = value;
  std::ofstream(dir_ / "musterd.toml")
      << table("broker", broker) << table("control", setup_.control);
}

void FaultHost::start_broker() {
  // Its log may go where the test does not see it.
  NotifySocket manager(dir_ / "notify");
  ProcessOptions options;
  options.environment = setup_.environment;
  options.environment.emplace_back("NOTIFY_SOCKET", (dir_ / "notify").native());
  if (setup_.before_exec) {
    options.before_exec = [this, directory = dir_.path().native()] {
      return setup_.before_exec(directory);
    };
  }
  operators_.reset();
  broker_.emplace(
      std::vector<std::string>{program("musterd"), "--config", (dir_ / "musterd.toml").native(),
                               "--socket-dir", sockets().native(), "--state-dir",
                               (dir_ / "state").native()},
      options);
  manager.wait_for("READY=1");
  std::filesystem::remove(dir_ / "notify");
}

void FaultHost::restart_broker() {
  broker_->end(SIGKILL);
  start_broker();
}

ControlClient& FaultHost::operators() {
  if (!operators_) operators_.emplace(sockets());
  return *operators_;
}

std::size_t FaultHost::dose(std::size_t full) const {
  return run_ == Run::kWarmUp ? std::max<std::size_t>(full / 10, 1) : full;
}

void FaultHost::at_its_worst() {
  EXPECT_LT(ping_time(operators()), kAnswersWithin) << "while the fault lasts";
  if (run_ != Run::kSigterm) return;
  const auto before = std::chrono::steady_clock::now();
  const Finished finished = broker_->end(SIGTERM);
  EXPECT_EQ(finished.status, 0) << "after SIGTERM; it said\n" << finished.err;
  EXPECT_LT(std::chrono::steady_clock::now() - before, kEndsWithin) << "after SIGTERM";
  throw BrokerEnded();
}

Process& FaultHost::spawn(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {program("muster-fake-backend"), "--socket-dir", sockets().native()});
  return processes_.emplace_back(std::move(arguments));
}

Process& FaultHost::backend(const std::string& service, std::vector<std::string> more) {
  more.insert(more.begin(), {"--service", service});
  Process& process = spawn(std::move(more));
  process.wait_for("registered");
  return process;
}

TestBackend FaultHost::join(const std::string& service) const {
  TestBackend backend = connect();
  backend.registers(service);
  if (backend.hears() != "registered") throw std::runtime_error(service + " is not registered");
  return backend;
}

BroadcastId FaultHost::release(const std::string& path, std::optional<milliseconds> timeout) {
  BroadcastRequest request;
  request.operation = BroadcastOperation::release_handles(path);
  broker_->look();
  request.ack_timeout = timeout.value_or(sigterm_ ? kSoon : kFarAway);
  return operators().start_broadcast(request).broadcast_id;
}

std::string FaultHost::result(BroadcastId id) {
  return to_string(operators().report(id, true).result);
}

Finished FaultHost::ctl(std::vector<std::string> arguments) const {
  return start_ctl(std::move(arguments)).finish();
}

Process FaultHost::start_ctl(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), program("musterctl"));
  ProcessOptions options;
  options.environment = {{"MUSTER_SOCKET_DIR", sockets().native()}, {"TZ", "UTC"}};
  return Process(std::move(arguments), options);
}

std::filesystem::path FaultHost::as_broker_sees(const std::filesystem::path& path) const {
  return "/proc/" + std::to_string(broker_->pid()) + "/root" + path.native();
}

std::chrono::microseconds ping_time(ControlClient& client) {
  auto best = client.ping().round_trip;
  for (int again = 0; again < 2; ++again) best = std::min(best, client.ping().round_trip);
  return best;
}

std::string path_of(std::size_t bytes) {
  std::string path(bytes, 'p');
  path.at(0) = '/';
  return path;
}

std::size_t resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    std::size_t kib = 0;
    status >> kib;
    return kib;
  }
  return 0;
}

}  // namespace muster::test
