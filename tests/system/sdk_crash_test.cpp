// The broker is killed and started again, among real backends of the SDK: who is asked, and
// whether each ack is one that a handler gave.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "muster/backend.h"
#include "muster/control.h"

#include "os/listener.h"
#include "support/child.h"
#include "support/sanitized.h"
#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// A daemon with several backends. It says "registered" whenever all of them are; told to, it says
// how often their handlers have run.
class SdkDaemon {
 public:
  enum class Threads { kOwn, kOne };  // of each backend; of all on one io_context

  SdkDaemon(const std::filesystem::path& sockets, const std::string& service, std::size_t backends,
            Threads threads)
      : child_([=](Child::Side& side) { run(side, sockets, service, backends, threads); }) {}

  [[nodiscard]] std::string hears() { return child_.hear(); }
  [[nodiscard]] std::uint64_t handled() {
    child_.tell();
    for (;;) {
      const std::string said = child_.hear();
      if (said.empty()) throw std::runtime_error("the daemon is gone");
      if (said != "registered") return std::stoull(said);
    }
  }

 private:
  static void run(Child::Side& side, const std::filesystem::path& sockets,
                  const std::string& service, std::size_t backends, Threads threads) {
    std::atomic<std::uint64_t> handled = 0;
    std::atomic<std::size_t> registered = 0;
    asio::io_context loop;
    const auto work = asio::make_work_guard(loop);
    std::list<Backend> all;
    for (std::size_t i = 0; i < backends; ++i) {
      BackendOptions options;
      options.key.service_name = service;
      options.key.service_version = "1.0.0";
      options.key.replica = std::to_string(i);
      options.socket_dir = sockets;
      Backend& one = threads == Threads::kOwn ? all.emplace_back(std::move(options))
                                              : all.emplace_back(std::move(options), loop);
      const auto counts = [&handled](Request&) { ++handled; };
      one.on_release_handles(counts);
      one.on_quiesce(counts);
      one.on_hold_ended([](const HoldEnded&) {});
      one.on_state([&, was = false](const StateChange& change) mutable {
        const bool is = change.state == ConnectionState::kRegistered;
        if (is && !was && ++registered == backends) side.say("registered");
        if (was && !is) --registered;
        was = is;
      });
      one.start();
    }
    std::thread runner([&] { loop.run(); });
    for (;;) {
      side.wait_to_be_told();
      side.say(std::to_string(handled));
    }
  }

  Child child_;
};

class SdkCrashTest : public MusterdTest {
 protected:
  // One that may not listen yet.
  [[nodiscard]] Process start_at_once() const { return Process(command(), {}); }
  // As soon as a broker answers.
  [[nodiscard]] ControlClient connect() const {
    const auto latest = Clock::now() + Process::kPatience;
    for (;;) {
      try {
        return ControlClient(sockets());
      } catch (const ControlFailure& failure) {
        if (Clock::now() > latest) throw;
      }
    }
  }
  static BroadcastRequest request(BroadcastOperation operation) {
    BroadcastRequest request;
    request.operation = std::move(operation);
    return request;
  }
  static BroadcastRequest quiesce() {
    return request(BroadcastOperation::quiesce(QuiesceReason::kMaintenance));
  }
  static BroadcastReport broadcast(ControlClient& client, const BroadcastRequest& what) {
    return client.broadcast(what).value();
  }
  static std::string outcomes(const BroadcastReport& report) {
    const BroadcastResult& result = report.result;
    return std::to_string(result.acks.size()) + " acked, " +
           std::to_string(result.timeouts.size()) + " timed out, " +
           std::to_string(result.failures.size()) + " failed, " +
           std::to_string(result.skipped_dead.size()) + " skipped";
  }

  // All but the sockets and their lock.
  void lose_state() const {
    if (!std::filesystem::exists(sockets())) return;
    for (const auto& entry : std::filesystem::directory_iterator(sockets())) {
      if (entry.is_regular_file() && entry.path().extension() != ".lock") {
        std::filesystem::remove(entry.path());
      }
    }
  }
};

TEST_F(SdkCrashTest, AfterABrokerThatLostItsStateEachAckIsOneThatAHandlerGave) {
  for (const auto threads : {SdkDaemon::Threads::kOwn, SdkDaemon::Threads::kOne}) {
    lose_state();
    std::optional<Process> broker(start());
    SdkDaemon daemon(sockets(), "zccache", 1, threads);
    ASSERT_EQ(daemon.hears(), "registered");
    std::set<BroadcastId> before;
    {
      ControlClient client(sockets());
      for (int i = 0; i < 40; ++i) {
        const BroadcastReport report = broadcast(client, quiesce());
        ASSERT_EQ(outcomes(report), "1 acked, 0 timed out, 0 failed, 0 skipped");
        before.insert(report.broadcast_id);
      }
    }
    std::uint64_t handled = daemon.handled();
    EXPECT_EQ(handled, 40u);

    std::size_t again = 0;
    for (int crash = 0; crash < 3; ++crash) {
      broker->end(SIGKILL);
      lose_state();
      broker.reset();
      broker.emplace(start());
      ASSERT_EQ(daemon.hears(), "registered");
      ControlClient client(sockets());
      for (int i = 0; i < 3; ++i) {
        const BroadcastReport report = broadcast(client, quiesce());
        EXPECT_EQ(outcomes(report), "1 acked, 0 timed out, 0 failed, 0 skipped");
        EXPECT_EQ(daemon.handled(), ++handled) << "an ack that no handler gave";
        again += before.count(report.broadcast_id);
      }
    }
    EXPECT_GT(again, 0u) << "no id was used again: this test has tested nothing";
  }
}

// What is open when the broker is killed must be as little known to the next.
TEST_F(SdkCrashTest, WhateverTheNewBrokerAsksBeforeTheBackendIsBackIsNoAckEither) {
  std::optional<Process> broker(start());
  SdkDaemon daemon(sockets(), "zccache", 1, SdkDaemon::Threads::kOwn);
  ASSERT_EQ(daemon.hears(), "registered");
  for (int crash = 0; crash < 5; ++crash) {
    const std::uint64_t before = daemon.handled();
    for (int i = 0; i < 10; ++i) {
      ControlClient client(sockets());
      (void)client.start_broadcast(quiesce());
    }
    broker->end(SIGKILL);
    lose_state();
    broker.reset();
    broker.emplace(start_at_once());
    std::uint64_t acks = 0;
    {
      ControlClient client = connect();
      while (acks < 3) acks += broadcast(client, quiesce()).result.acks.size();
    }
    const std::uint64_t handled = daemon.handled() - before;
    EXPECT_GE(handled, acks);
    EXPECT_LE(handled, acks + 10) << "a quiesce of the old broker was run twice";
  }
}

// --- a thousand

enum class Sockets { kItsOwn, kPassed };

class SdkThousandTest : public SdkCrashTest, public ::testing::WithParamInterface<Sockets> {
 protected:
  static constexpr std::size_t kAll = 1'000;

  void SetUp() override {
    std::filesystem::create_directory(sockets());
    start_broker();
    daemons_.emplace_back(sockets(), "threads", 100, SdkDaemon::Threads::kOwn);
    for (const char* service : {"a", "b", "c"}) {
      daemons_.emplace_back(sockets(), service, 300, SdkDaemon::Threads::kOne);
    }
    for (SdkDaemon& daemon : daemons_) ASSERT_EQ(daemon.hears(), "registered");
  }
  // One that may not listen yet. Passed sockets are the service manager's, and outlive it.
  void start_broker() {
    std::vector<std::string> options = {"--state-dir", sockets().native()};
    if (kSanitized) {  // such a build needs longer than the default until a thousand are back
      options.insert(
          options.end(),
          {"--config", write("slow.toml", "[broker]\nrestart_grace = \"60s\"\n").native()});
    }
    std::vector<std::string> all = command(std::move(options));
    if (GetParam() == Sockets::kPassed) {
      if (!control_) control_ = listening("control.sock");
      if (!backend_) backend_ = listening("backend.sock");
      std::string line = "exec env LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:backend";
      for (const std::string& word : all) line += " '" + word + "'";
      line += " 3<&" + std::to_string(control_.get()) + " 4<&" + std::to_string(backend_.get());
      all = {"/bin/bash", "-c", line};
    }
    broker_.emplace(std::move(all));
  }
  // Whom the broker knows is on its disk.
  void wait_for_roster() const {
    const auto latest = Clock::now() + Process::kPatience;
    for (std::size_t there = 0; there < kAll && Clock::now() < latest;) {
      std::ifstream file(sockets() / "roster", std::ios::binary);
      const std::string text(std::istreambuf_iterator<char>(file), {});
      there = 0;
      for (auto at = text.find("1.0.0"); at != std::string::npos; at = text.find("1.0.0", at + 1)) {
        ++there;
      }
    }
  }
  [[nodiscard]] std::uint64_t handled() {
    std::uint64_t all = 0;
    for (SdkDaemon& daemon : daemons_) all += daemon.handled();
    return all;
  }
  void crash_and_ask_at_once() {
    const std::uint64_t before = handled();
    const auto crash = Clock::now();
    broker_->end(SIGKILL);
    start_broker();
    ControlClient client = connect();
    milliseconds asked{};
    const auto on_event = [&](const Event& event) {
      if (event.kind != Event::Kind::kBroadcastStarted) return;
      asked = duration_cast<milliseconds>(Clock::now() - crash);
    };
    // Who is asked is the question here, not how fast a slow build of them all is back.
    BroadcastRequest wish = request(BroadcastOperation::release_handles("/cache"));
    wish.ack_timeout = Process::kPatience;
    const BroadcastReport report = client.broadcast(wish, on_event).value();
    const auto done = duration_cast<milliseconds>(Clock::now() - crash);
    EXPECT_EQ(outcomes(report), "1000 acked, 0 timed out, 0 failed, 0 skipped");
    EXPECT_EQ(handled() - before, kAll);  // and so all of them are registered again
    std::cout << "asked " << asked.count() << " ms after the crash, all acked after "
              << done.count() << " ms\n";
  }

 private:
  // Above what a shell uses; not close-on-exec, so that a child gets it.
  os::UniqueFd listening(const std::string& name) const {
    const auto made = os::listen_unix(sockets() / name, 0600);
    EXPECT_EQ(made.problem, "");
    return os::UniqueFd(::fcntl(made.socket.get(), F_DUPFD, 50));
  }

  os::UniqueFd control_;
  os::UniqueFd backend_;
  std::optional<Process> broker_;
  std::list<SdkDaemon> daemons_;
};
INSTANTIATE_TEST_SUITE_P(On, SdkThousandTest, ::testing::Values(Sockets::kItsOwn, Sockets::kPassed),
                         [](const auto& of) {
                           return of.param == Sockets::kItsOwn ? "ItsOwnSockets" : "PassedSockets";
                         });

TEST_P(SdkThousandTest, ABroadcastRightAfterACrashAsksAllOfThem) {
  for (int crash = 0; crash < 3 && !HasFailure(); ++crash) {
    wait_for_roster();
    crash_and_ask_at_once();
  }
}

// Without waiting for the roster: whoever heard "registered" is in it.
TEST_P(SdkThousandTest, WhoeverWasToldThatItIsRegisteredIsExpectedAfterACrash) {
  crash_and_ask_at_once();
}

}  // namespace
}  // namespace muster::test
