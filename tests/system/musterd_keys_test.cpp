// Operation keys and a broker that is killed, a disk that is slow, fails or hangs.
#include <algorithm>
#include <deque>
#include <exception>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/musterd_fixture.h"

namespace muster::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class MusterdKeysTest : public MusterdTest {
 protected:
  void disk(char how) const { std::ofstream(disk_) << how; }
  Process start_on_disk(const char* fsync_ms = "0") {
    return start({"--state-dir", (dir_ / "state").native()},
                 {{"LD_PRELOAD", program("libmuster_host_shim.so")},
                  {"MUSTER_FSYNC_MS", fsync_ms},
                  {"MUSTER_DISK_FILE", disk_.native()}});
  }
  static BroadcastRequest request_of(const std::string& key) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles("/k/" + key);
    request.operation_key = key;
    return request;
  }
  // The path of what a backend hears; empty when it is something else.
  static std::string released(const std::string& heard) {
    constexpr std::string_view kRelease = ": release-handles /k/";
    const auto at = heard.find(kRelease);
    return at == std::string::npos ? std::string() : heard.substr(at + kRelease.size());
  }
  static BroadcastId id_of(const TestBackend& backend) {
    return std::get<OutgoingOperation>(backend.last().message).broadcast_id;
  }

  const std::filesystem::path disk_ = dir_ / "disk";
};

// Each operator asks again and again, each time with a new key; the broker is killed the moment a
// backend is asked. The next broker is asked all of it again.
TEST_F(MusterdKeysTest, NothingIsSentTwiceForAKeyWheneverTheBrokerIsKilled) {
  std::map<std::string, int> sent;
  std::mutex mutex;
  for (int kill = 0; kill < 6; ++kill) {
    std::vector<std::string> asked;
    {
      Process broker = start_on_disk("60");
      TestBackend backend = join("a");
      std::vector<std::thread> operators;
      for (int number = 0; number < 3; ++number) {
        operators.emplace_back([&, number] {
          try {
            ControlClient client(sockets());
            for (int i = 0;; ++i) {
              const std::string key =
                  std::to_string(kill) + '-' + std::to_string(number) + '-' + std::to_string(i);
              {
                const std::lock_guard lock(mutex);
                asked.push_back(key);
              }
              (void)client.start_broadcast(request_of(key));
            }
          } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it was killed
          }
        });
      }
      for (int i = 0; i <= kill; ++i) {
        const std::string key = released(backend.hears());
        EXPECT_NE(key, "");
        ++sent[key];
        backend.acks(id_of(backend));
      }
      broker.end(SIGKILL);
      for (std::thread& thread : operators) thread.join();
      // What was on its way to the backend.
      for (std::string heard = backend.hears(); heard.starts_with("operation");
           heard = backend.hears()) {
        ++sent[released(heard)];
      }
    }
    Process broker = start_on_disk();
    TestBackend backend = join("a");
    ControlClient client(sockets());
    for (const std::string& key : asked) {
      try {
        (void)client.start_broadcast(request_of(key));
      } catch (const std::exception& error) {
        EXPECT_THAT(error.what(), HasSubstr("so nothing is sent"));
      }
    }
    BroadcastRequest last;
    last.operation = BroadcastOperation::release_handles("/k/end");
    (void)client.start_broadcast(last);
    for (std::string key = released(backend.hears()); key != "end";
         key = released(backend.hears())) {
      ++sent[key];
      backend.acks(id_of(backend));
    }
    backend.acks(id_of(backend));
    EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  }
  for (const auto& [key, times] : sent) EXPECT_EQ(times, 1) << key;
}

// A key with a text that is too long for the file is refused, and harms no other key.
TEST_F(MusterdKeysTest, AHugeRequestWithAKeyHarmsNoOtherKeyOverACrash) {
  const auto is_refused = [&](std::size_t selectors) {
    BroadcastRequest huge = request_of("huge");
    for (std::size_t i = 0; i < selectors; ++i) {
      huge.selection.push_back(Selector::parse("service=" + std::string(250, 's')).selector);
    }
    try {
      ControlClient client(sockets());
      (void)client.ping();  // the first message has a bound of its own
      (void)client.start_broadcast(huge);
      return false;
    } catch (const ControlFailure& failure) {
      return std::string_view(failure.what()).find("the most is 24576") != std::string_view::npos;
    }
  };
  {
    Process broker = start_on_disk();
    TestBackend backend = join("a");
    const auto first = ControlClient(sockets()).start_broadcast(request_of("kept"));
    EXPECT_FALSE(first.joined);
    for (const std::size_t selectors : {100U, 200U}) {
      EXPECT_TRUE(is_refused(selectors)) << selectors;
    }
    EXPECT_FALSE(is_refused(90)) << "24 KiB or less";
    EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
  }
  Process broker = start_on_disk();
  EXPECT_THAT(ControlClient(sockets()).status().problems, ::testing::IsEmpty());
  TestBackend backend = join("a");
  try {
    (void)ControlClient(sockets()).start_broadcast(request_of("kept"));
    ADD_FAILURE() << "a key was forgotten, and its request is sent again";
  } catch (const ControlFailure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("so nothing is sent"));
  }
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
}

TEST_F(MusterdKeysTest, AFailingDiskStopsNobodyAndReportAndStatusSaySo) {
  Process broker = start_on_disk();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  const auto is_at_risk = [&](const BroadcastRequest& request) {
    const BroadcastId id = client.start_broadcast(request).broadcast_id;
    EXPECT_THAT(backend.hears(), HasSubstr("release-handles"));
    backend.acks(id);
    return client.report(id, true).id_not_durable;
  };
  BroadcastRequest without_key = request_of("none");
  without_key.operation_key.clear();
  EXPECT_FALSE(is_at_risk(request_of("good")));
  EXPECT_THAT(client.status().problems, IsEmpty());
  disk('e');
  EXPECT_TRUE(is_at_risk(request_of("bad")));
  EXPECT_THAT(client.status().problems, Contains(HasSubstr("operation keys cannot be written")));
  EXPECT_FALSE(is_at_risk(without_key)) << "ids are reserved";
  disk('f');
  broker.wait_for("operation keys can be written again");
  EXPECT_FALSE(is_at_risk(request_of("good again")));
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
}

TEST_F(MusterdKeysTest, AHangingDiskHoldsAKeyBackForAWhileAndNothingElse) {
  Process broker = start_on_disk();
  TestBackend backend = join("a");
  disk('h');
  BroadcastId id = 0;
  std::thread waits(
      [&] { id = ControlClient(sockets()).start_broadcast(request_of("late")).broadcast_id; });
  ControlClient client(sockets());
  BroadcastRequest without_key = request_of("none");
  without_key.operation_key.clear();
  const BroadcastId at_once = client.start_broadcast(without_key).broadcast_id;
  EXPECT_EQ(released(backend.hears()), "none");
  backend.acks(at_once);
  EXPECT_EQ(released(backend.hears()), "late");
  waits.join();
  backend.acks(id);
  EXPECT_TRUE(client.report(id, true).id_not_durable);
  EXPECT_THAT(client.status().problems, Contains(HasSubstr("the disk does not answer")));
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
}

// A backend is told that it is registered when the roster has it, or a second later.
TEST_F(MusterdKeysTest, AHangingDiskHoldsARegistrationBackForAWhileAndSaysSo) {
  Process broker = start_on_disk();
  const TestBackend first = join("a");
  disk('h');
  std::thread waits([&] { (void)ControlClient(sockets()).start_broadcast(request_of("late")); });
  ControlClient client(sockets());
  const auto is_late = [&] {
    const auto problems = client.status().problems;
    return std::any_of(problems.begin(), problems.end(), [](const std::string& problem) {
      return problem.find("the roster is not up to date") != std::string::npos;
    });
  };
  // Nothing tells when the write has begun to hang: those before it are written at once.
  std::deque<TestBackend> backends;
  for (int i = 0; i < 1000 && !is_late(); ++i) backends.push_back(join("b" + std::to_string(i)));
  EXPECT_TRUE(is_late());
  disk('f');
  waits.join();
  // What is written now is no longer late.
  backends.push_back(join("c"));
  EXPECT_FALSE(is_late());
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
}

// As a daemon that stops: its process goes on here, so that nothing else tells that it left.
TEST_F(MusterdKeysTest, WhoHeardThatItIsDeregisteredIsNotExpectedAfterACrash) {
  for (int i = 0; i < 20 && !HasFailure(); ++i) {
    Process broker = start_on_disk();
    const TestBackend stays = join("stays");
    TestBackend leaves = join("leaves");
    leaves.deregisters(9);
    EXPECT_EQ(leaves.hears(), "deregistered");
    broker.end(SIGKILL);
    Process next = start_on_disk();
    const auto known = ControlClient(sockets()).backends();
    ASSERT_EQ(known.size(), 1U);
    EXPECT_EQ(known.front().key.service_name, "stays");
    next.end(SIGKILL);
  }
}

// Nothing was sent, so nothing is known of the key.
TEST_F(MusterdKeysTest, AKeyOfARefusedRequestIsFreeAlsoAfterARestart) {
  BroadcastRequest relative = request_of("once");
  relative.operation = BroadcastOperation::release_handles("not/absolute");
  {
    Process broker = start_on_disk();
    ControlClient client(sockets());
    EXPECT_THROW((void)client.start_broadcast(relative), std::exception);
    // Behind it on the disk.
    (void)client.start_broadcast(request_of("another"));
    broker.end(SIGKILL);
  }
  Process broker = start_on_disk();
  TestBackend backend = join("a");
  ControlClient client(sockets());
  EXPECT_EQ(client.start_broadcast(request_of("once")).targets, 1U);
  EXPECT_EQ(released(backend.hears()), "once");
  backend.acks(id_of(backend));
  EXPECT_EQ(broker.end(SIGKILL).status, 128 + SIGKILL);
}

}  // namespace
}  // namespace muster::test
