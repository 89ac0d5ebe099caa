// What peers and operators are told in words when something is not done.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "muster/path.h"

#include "core/broker.h"
#include "support/keeping_shell.h"

namespace muster::core {
namespace {

using std::chrono::milliseconds;
using test::KeepingShell;

class CoreSentencesTest : public ::testing::Test {
 protected:
  static Config config() {
    Config config;
    config.broker_version = "1.2.3";
    config.max_body_bytes = 4242;
    config.max_broadcasts = 1;
    config.register_timeout = milliseconds(2500);
    config.first_id_ever = 5;
    config.next_id_at_start = 20;
    config.started_unix_ms = 1'772'373'727'000;
    return config;
  }
  ConnectionId open(std::uint32_t slot, pid_t pid, uid_t uid) {
    const ConnectionId id{slot, 1};
    broker.connection_opened(id, {{pid, static_cast<std::uint64_t>(pid)}, uid, uid}, now);
    return id;
  }
  static Registration registration(const std::string& service = "alpha") {
    Registration registration;
    registration.key = {Instance::shared(), service, "1.0.0", ""};
    return registration;
  }
  std::string refusal() {
    if (shell.refusals.empty()) return "none";
    const auto last = shell.refusals.back();
    shell.refusals.clear();
    return std::string(to_string(last.code)) + ": " + last.reason;
  }
  static BroadcastRequest request(std::string path = "/c", std::string key = {}) {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles(std::move(path));
    request.operation_key = std::move(key);
    return request;
  }
  template <class Value>
  static std::string error(const std::variant<Value, ControlError>& result) {
    const auto* error = std::get_if<ControlError>(&result);
    if (error == nullptr) return "none";
    return std::string(to_string(error->code)) + ": " + error->message;
  }

  KeepingShell shell;
  Broker broker{config(), shell};
  Now now{SteadyTime(std::chrono::hours(1)), 1000};
};

TEST_F(CoreSentencesTest, ARegisteredBackendLearnsTheLimits) {
  broker.registration(open(0, 10, 1000), 1, registration(), now);
  EXPECT_EQ(shell.registered.incarnation, 1u);
  EXPECT_EQ(shell.registered.broker_version, "1.2.3");
  EXPECT_EQ(shell.registered.protocol, kProtocolVersion);
  EXPECT_EQ(shell.registered.limits.max_body_bytes, 4242u);
  EXPECT_EQ(shell.registered.limits.max_ack_timeout, std::chrono::minutes(5));
}

TEST_F(CoreSentencesTest, WhoIsRefusedLearnsWhy) {
  const auto first = open(0, 10, 1000);
  broker.registration(first, 1, registration(), now);

  broker.registration(open(1, 11, 1001), 1, registration(), now);
  EXPECT_EQ(refusal(),
            "denied: alpha 1.0.0 is registered by uid 1000 (pid 10); another user can register it "
            "when that one is gone");
  broker.registration(open(2, 12, 1000), 1, registration("Not Good"), now);
  EXPECT_EQ(refusal(), "invalid: " + registration("Not Good").problem().value());
  broker.acked(open(3, 13, 1000), 1, {}, now);
  EXPECT_EQ(refusal(), "protocol: Ack came before Register; register first");
  broker.activity(open(4, 13, 1000), now);
  EXPECT_EQ(refusal(), "protocol: Activity came before Register; register first");
  broker.registration(open(5, 12, 1000), 1, registration(), now);
  EXPECT_EQ(refusal(), "none") << "both stay: it is replica ~12";
  broker.registration(open(6, 12, 1000), 1, registration(), now);
  EXPECT_EQ(refusal(), "replaced: this process registered the same key on another connection");
  broker.registration({6, 1}, 2, registration("beta"), now);
  EXPECT_EQ(refusal(),
            "protocol: a second Register came on this connection; one connection is one backend");
  broker.protocol_error(open(7, 13, 1000), 1, "the frame has no payload", now);
  EXPECT_EQ(refusal(), "protocol: the frame has no payload");
}

TEST_F(CoreSentencesTest, WhoIsTooSlowLearnsHowLongItHad) {
  (void)open(0, 10, 1000);
  ASSERT_EQ(shell.armed.size(), 1u);
  broker.deadline_passed(shell.armed[0], now);
  EXPECT_EQ(refusal(), "too slow: no Register came within 2.5 s");
}

TEST_F(CoreSentencesTest, WhoComesWhileItGoesDownIsToldWhenToComeBack) {
  broker.shut_down(now);
  (void)open(0, 10, 1000);
  ASSERT_EQ(shell.refusals.size(), 1u);
  EXPECT_EQ(shell.refusals[0].retry_after, std::chrono::seconds(1));
  EXPECT_EQ(refusal(), "shutting down: the broker is shutting down");
  EXPECT_EQ(error(broker.start_broadcast(request(), now)),
            "shutting down: the broker is shutting down and starts no broadcast");
}

// Each key keeps the text of its request: for an hour, and on disk.
TEST_F(CoreSentencesTest, ARequestWithAKeyHasABoundedText) {
  BroadcastRequest much = request("/c", "kept");
  while (request_text(much).size() <= OperationKeys::kMaxRequestText) {
    much.selection.push_back(Selector::parse("service=" + std::string(200, 's')).selector);
  }
  EXPECT_EQ(error(broker.start_broadcast(much, now)),
            "invalid: the path and selectors of a request with an operation key are kept with it: "
            "they have " +
                std::to_string(request_text(much).size()) + " bytes; the most is 24576");
  much.operation_key.clear();
  EXPECT_EQ(error(broker.start_broadcast(much, now)), "none") << "without a key nothing is kept";
  // The longest path, of bytes that are written as four, still fits.
  EXPECT_EQ(error(broker.start_broadcast(
                request('/' + std::string(kMaxPathBytes - 1, '\xff'), "longest"), now)),
            "none");
}

TEST_F(CoreSentencesTest, ARequestThatIsNotDoneSaysWhy) {
  EXPECT_EQ(error(broker.start_broadcast(request("rel"), now)),
            "invalid: the path \"rel\" is relative; give an absolute one, like /rel");
  EXPECT_EQ(error(broker.dry_run(request(""), now)),
            "invalid: the path is empty; give an absolute one, like /var/cache/x");
  EXPECT_EQ(error(broker.start_broadcast(request("/c", std::string(257, 'k')), now)),
            "invalid: the operation key has 257 bytes; the most is 256");
  EXPECT_EQ(error(broker.start_broadcast(request("/c", std::string(256, 'k')), now)), "none");

  broker.registration(open(0, 10, 1000), 1, registration(), now);
  EXPECT_EQ(error(broker.start_broadcast(request("/c/", "key\n"), now)), "none");
  EXPECT_EQ(error(broker.start_broadcast(request("/c/.", "key\n"), now)), "none") << "the same";
  EXPECT_EQ(error(broker.start_broadcast(request("/d", "key\n"), now)),
            "key conflict: the operation key \"key\\x0a\" belongs to broadcast 21 (release-handles "
            "/c); give each different request a key of its own");
  EXPECT_EQ(error(broker.start_broadcast(request("/e"), now)),
            "busy: there are 1 broadcasts in flight, the most that this broker takes; try again "
            "when some have ended");
}

// A dry run says what a start would do, also of a key whose time is over.
TEST_F(CoreSentencesTest, ADryRunAndAStartAgreeOnAKey) {
  broker.restore_keys({{uid_t(-1), "key", 7, "release-handles /other\n", now.unix_ms}}, now);
  const auto conflict =
      "key conflict: the operation key \"key\" belongs to broadcast 7 (release-handles /other); "
      "give "
      "each different request a key of its own";
  const auto before = Now{now.steady + std::chrono::hours(1) - milliseconds(1), now.unix_ms};
  EXPECT_EQ(error(broker.dry_run(request("/c", "key"), before)), conflict);
  EXPECT_EQ(error(broker.start_broadcast(request("/c", "key"), before)), conflict);
  const auto after = Now{now.steady + std::chrono::hours(1), now.unix_ms};
  EXPECT_EQ(error(broker.dry_run(request("/c", "key"), after)), "none");
  EXPECT_EQ(error(broker.start_broadcast(request("/c", "key"), after)), "none");
}

TEST_F(CoreSentencesTest, AnIdSaysWhatBecameOfIt) {
  EXPECT_EQ(error(broker.report(0, now)),
            "not found: there was no broadcast since the broker started, or its report is gone");
  EXPECT_EQ(error(broker.report(20, now)), "not found: there never was a broadcast 20");
  for (int i = 0; i < 1001; ++i) (void)broker.start_broadcast(request(), now);
  EXPECT_EQ(error(broker.report(1020, now)), "none");
  EXPECT_EQ(error(broker.report(0, now)), "none") << "the newest";
  EXPECT_EQ(error(broker.report(20, now)),
            "expired: the report of broadcast 20 was kept as long as the configuration says and is "
            "gone");
  EXPECT_EQ(error(broker.report(1021, now)), "not found: there never was a broadcast 1021");
  EXPECT_EQ(error(broker.report(19, now)),
            "interrupted: the broker restarted at 2026-03-01 14:02:07 UTC; broadcast 19 was not "
            "finished or its report is gone");
  EXPECT_EQ(error(broker.report(4, now)), "not found: there never was a broadcast 4")
      << "ids began with 5";
  EXPECT_EQ(error(broker.cancel_broadcast(19, now)), error(broker.report(19, now)));
}

}  // namespace
}  // namespace muster::core
