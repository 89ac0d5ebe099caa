// Operators that do not read, break the protocol or are too many: they harm themselves alone.
#include <cstdint>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"
#include "musterd/service/sockets.h"
#include "support/descriptor_limits.h"

namespace muster::test {
namespace {

// A backend that takes some room in a list.
Registration long_registration(int number) {
  Registration registration = registration_of("service-" + std::to_string(number));
  for (int i = 0; i < 16; ++i) {
    registration.labels["label-" + std::to_string(i)] = std::string(64, 'v');
  }
  return registration;
}

TEST_F(ControlPlaneTest, AWatcherThatDoesNotReadLosesEventsIsToldHowManyAndGoesOn) {
  settings_.event_queue = 16 * 1024;
  start();
  TestOperator& watcher = connect();
  watcher.asks(1, wire::Watch{});
  EXPECT_EQ(watcher.hears(), "1 watching");

  TestOperator& op = connect();
  std::uint64_t made = 0;
  const std::string path = '/' + std::string(2'000, 'x');
  // Until far more events happened than socket and queue hold.
  for (std::uint64_t i = 0; i < 400; ++i) {
    op.asks(i, release(path));
    EXPECT_EQ(op.hears().substr(0, std::to_string(i).size() + 7), std::to_string(i) + " report");
    made += 2;  // started, finished
  }
  std::uint64_t seen = 0;
  std::uint64_t missing = 0;
  std::string text;
  while ((text = watcher.hears()).find("event") != std::string::npos) {
    if (text.starts_with("1 event events lost: ")) {
      missing += std::stoull(text.substr(21));
      break;
    }
    ++seen;
  }
  EXPECT_GT(missing, 0u);
  EXPECT_LT(seen, made);
  EXPECT_EQ(seen + missing, made);
  EXPECT_EQ(text, "1 event events lost: " + std::to_string(missing) +
                      " events are missing here: they were not read in time");

  const BroadcastId next = last_id_ + 1;
  op.asks(1, release("/cache"));
  EXPECT_EQ(watcher.hears(), "1 event broadcast started " + std::to_string(next));
}

TEST_F(ControlPlaneTest, AFollowerThatDoesNotReadStillGetsItsReport) {
  settings_.event_queue = 16 * 1024;
  start();
  TestBackend& a = join("a");
  TestOperator& follower = connect();
  auto request = release("/cache");
  request.events = true;
  follower.asks(1, request);
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  for (int i = 0; i < 1'000; ++i) {
    a.works(100, std::chrono::milliseconds(1), std::string(1'000, 'n'));
    settle();
  }
  a.acks(100);
  settle();
  EXPECT_EQ(follower.hears(), "1 event broadcast started 100");
  bool told = false;
  std::string text;
  while ((text = follower.hears()).find("report") == std::string::npos) {
    told = told || text.find("events lost") != std::string::npos;
    if (text == "nothing" || text == "end of stream") break;
  }
  EXPECT_TRUE(told);
  EXPECT_EQ(text, "1 report 100 finished: release-handles /cache: acked a 1.0.0");
}

TEST_F(ControlPlaneTest, WhoDoesNotReadItsAnswersIsDisconnected) {
  settings_.answer_queue = 1 << 20;
  start();
  for (int i = 0; i < 100; ++i) join(long_registration(i));
  TestOperator& greedy = connect();
  wire::ControlRequestFrame frame;
  frame.message = wire::ListBackends{};
  bool taken = true;
  for (std::uint64_t i = 0; taken && i < 2'000; ++i) {
    frame.request_id = i;
    taken = greedy.sends(wire::encode(frame));
    settle();
  }
  EXPECT_FALSE(taken) << "it should have been closed";
  EXPECT_EQ(control_->session_count(), 0u);
  EXPECT_TRUE(was_logged("operator does not read its answers")) << logged();
  expect_it_answers();
}

TEST_F(ControlPlaneTest, WhichSocketIsNotServedIsTold) {
  start();
  EXPECT_EQ(daemon::not_served(*server_, *control_), "");
  control_->shut_down();
  EXPECT_EQ(daemon::not_served(*server_, *control_),
            "operators are not accepted: a task failed for good");
  shut_down();
  EXPECT_EQ(daemon::not_served(*server_, *control_),
            "backends are not accepted: a task failed for good");
}

TEST_F(ControlPlaneTest, GarbageGetsOneErrorALogLineAndTheEnd) {
  start();
  TestOperator& op = connect();
  EXPECT_TRUE(op.sends("GET / HTTP/1.1\r\n\r\n"));
  const std::string error = op.hears();
  EXPECT_EQ(error.substr(0, 18), "0 error (protocol)") << error;
  EXPECT_EQ(op.hears(), "end of stream");
  settle();
  EXPECT_EQ(control_->session_count(), 0u);
  EXPECT_EQ(server_->core().counters().protocol_errors, 1u);
  EXPECT_TRUE(was_logged(
      "<4>protocol error of an operator, closing its connection pid=" + std::to_string(::getpid()) +
      " uid=" + std::to_string(::getuid()) + " why="))
      << logged();
  expect_it_answers();
}

TEST_F(ControlPlaneTest, AMessageThatIsNoRequestGetsOneErrorAndTheEnd) {
  start();
  TestOperator& op = connect();
  const std::string body = "\x08\x01\x10\x00\x18\x82\xf6\x03";
  std::string frame(wire::kHeaderBytes, '\0');
  wire::put_header(frame.data(), body.size());
  EXPECT_TRUE(op.sends(frame + body));
  EXPECT_NE(op.hears().find("error (protocol)"), std::string::npos);
  EXPECT_EQ(op.hears(), "end of stream");
}

TEST_F(ControlPlaneTest, TheFirstMessageIsSmallAndLaterOnesMayBeLarge) {
  start();
  std::string header(wire::kHeaderBytes, '\0');
  wire::put_header(header.data(), wire::kMaxFirstBody + 1);
  TestOperator& greedy = connect();
  EXPECT_TRUE(greedy.sends(header));
  EXPECT_EQ(greedy.hears().substr(0, 18), "0 error (protocol)");
  EXPECT_EQ(greedy.hears(), "end of stream");

  TestOperator& op = connect();
  op.asks(1, wire::Ping{});
  EXPECT_EQ(op.hears(), "1 pong");
  op.asks(2, release("/" + std::string(wire::kMaxFirstBody + 1, 'x')));
  EXPECT_EQ(op.hears().substr(0, 17), "2 error (invalid)");
}

TEST_F(ControlPlaneTest, ARequestNumberThatIsInUseIsRefused) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  op.asks(1, release("/cache"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  op.asks(1, wire::Ping{});
  EXPECT_EQ(op.hears(),
            "1 error (protocol): the request number 1 is in use: give each request a number of its "
            "own");
  EXPECT_EQ(op.hears(), "end of stream");
}

TEST_F(ControlPlaneTest, WhoHangsUpInTheMiddleOfAMessageIsForgotten) {
  start();
  TestOperator& op = connect();
  EXPECT_TRUE(op.sends(std::string("\x01\x10\x00", 3)));
  op.closes();
  settle();
  EXPECT_EQ(control_->session_count(), 0u);
}

TEST_F(ControlPlaneTest, TooManyOperatorsAreTurnedAwayUntilOneIsDone) {
  settings_.connections = 2;
  start();
  TestOperator& first = connect();
  first.asks(1, wire::Ping{});
  EXPECT_EQ(first.hears(), "1 pong");
  TestOperator& second = connect();
  second.asks(1, wire::Ping{});
  EXPECT_EQ(second.hears(), "1 pong");
  TestOperator& third = connect();
  EXPECT_EQ(third.hears(),
            "0 error (busy): 2 operators are connected, which is the most that the configuration "
            "allows: try again when one is done");
  EXPECT_EQ(third.hears(), "end of stream");
  first.closes();
  settle();
  expect_it_answers();
}

TEST_F(ControlPlaneTest, OneOperatorAtATimeIsLetInOnTheLastDescriptor) {
  start();
  settle();
  TestOperator& first = connect();
  TestOperator& second = connect();
  const NoDescriptors none;
  first.asks(1, wire::Ping{});
  EXPECT_EQ(first.hears(), "1 pong");
  EXPECT_TRUE(was_logged("descriptors exhausted: accepted an operator with the spare one"))
      << logged();
  second.asks(1, wire::Ping{});
  context_->run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(second.has_heard(), "nothing");
  first.closes();
  EXPECT_EQ(second.hears(), "1 pong");
}

TEST_F(ControlPlaneTest, AListenerThatAnotherProcessShutDownIsNoticedAndReplaced) {
  start();
  for (const int how : {SHUT_RDWR, SHUT_RD}) {
    SCOPED_TRACE(how);
    auto second = os::listen_unix(*dir_ / ("second" + std::to_string(how)), 0600);
    ASSERT_EQ(second.problem, "");
    const os::UniqueFd shared(::dup(second.socket.get()));
    control_->listen(std::move(second.socket));
    settle();
    EXPECT_FALSE(control_->has_lost_listener());
    EXPECT_TRUE(control_->is_serving());
    ::shutdown(shared.get(), how);
    EXPECT_TRUE(control_->has_lost_listener());
    EXPECT_FALSE(control_->is_serving());
    settle();
    EXPECT_EQ(context_->poll(), 0U);
    expect_it_answers();  // the other one is served

    auto third = os::listen_unix(*dir_ / ("second" + std::to_string(how)), 0600);
    ASSERT_EQ(third.problem, "");
    control_->listen(std::move(third.socket));
    EXPECT_FALSE(control_->has_lost_listener());
    EXPECT_TRUE(control_->is_serving());
    TestOperator op(*dir_ / ("second" + std::to_string(how)), [this] { return run_one(); });
    op.asks(1, wire::Ping{});
    EXPECT_EQ(op.hears(), "1 pong");
    EXPECT_EQ(server_->core().counters().task_failures, 0U);
  }
}

TEST_F(ControlPlaneTest, ABroadcastOverItsUsersQuotaIsRefusedUntilOneHasEnded) {
  options_.core.quotas.each.broadcasts = 1;
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  op.asks(1, release("/one"));
  EXPECT_EQ(a.hears(), "operation 100: release-handles /one");
  op.asks(2, release("/two"));
  EXPECT_EQ(op.hears(),
            "2 error (busy): uid " + std::to_string(::getuid()) +
                " has 1 broadcast in flight, and its quota is 1; try again when one has "
                "ended, or cancel one");
  a.acks(100);
  EXPECT_EQ(op.hears(), "1 report 100 finished: release-handles /one: acked a 1.0.0");
  op.asks(3, release("/three"));
  EXPECT_EQ(a.hears(), "operation 101: release-handles /three");
}

TEST_F(ControlPlaneTest, TooManyOpenRequestsAreRefusedOneByOne) {
  start();
  TestBackend& a = join("a");
  TestOperator& op = connect();
  auto request = release("/cache");
  request.detach = true;
  op.asks(1, request);
  EXPECT_EQ(op.hears(), "1 accepted 100: 1 asked, 0 dead");
  for (std::uint64_t i = 0; i < 256; ++i) op.asks(1000 + i, wire::GetReport{100, true});
  op.asks(2, wire::GetReport{100, true});
  EXPECT_EQ(op.hears().substr(0, 14), "2 error (busy)");
  op.asks(3, wire::Watch{});
  EXPECT_EQ(op.hears().substr(0, 14), "3 error (busy)");
  op.asks(4, release("/other"));
  EXPECT_EQ(op.hears().substr(0, 14), "4 error (busy)");
  EXPECT_EQ(last_id_, 100u) << "what is refused is not started";
  EXPECT_EQ(a.hears(), "operation 100: release-handles /cache");
  a.acks(100);
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(op.hears().substr(4), " report 100 finished: release-handles /cache: acked a 1.0.0");
  }
}

TEST_F(ControlPlaneTest, WhoDoesNotReadCannotHoldUpTheEnd) {
  start();
  for (int i = 0; i < 100; ++i) join(long_registration(i));
  TestOperator& greedy = connect();
  for (std::uint64_t i = 0; i < 20; ++i) greedy.asks(i, wire::ListBackends{});
  settle();  // more than the socket holds waits now; the end is TearDown's to check
  EXPECT_EQ(control_->session_count(), 1u);
}

}  // namespace
}  // namespace muster::test
