// One allocation that fails, at each point of each request and message in turn, costs that request
// or its connection: never the broker, another's request or the end of a broadcast.
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"
#include "os/peer.h"
#include "support/allocations.h"
#include "support/inspection.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;

// What is there when a step is taken: two backends, an operator that has asked before, and another
// that waits for a broadcast to both backends.
struct Cast {
  TestBackend& a;
  TestBackend& b;
  TestOperator& op;
  TestOperator& waiter;
  broker::BrokerServer& server;
  std::filesystem::path dir;
  std::function<void()> shut_down;
  const BroadcastId& last_id;
  BroadcastId running = 0;
  // Those that connect in the step.
  std::unique_ptr<TestBackend> newcomer{};
  std::unique_ptr<TestOperator> other{};
};

struct Step {
  const char* name;
  std::function<void(Cast&)> take;                 // sends; the broker does not run meanwhile
  std::function<void(Cast&)> prepare = nullptr;    // before; the broker runs after it
  std::function<void(Cast&)> meanwhile = nullptr;  // with the allocation that fails
};

std::ostream& operator<<(std::ostream& out, const Step& step) { return out << step.name; }

class AllocationFailureTest : public ControlPlaneTest, public ::testing::WithParamInterface<Step> {
 protected:
  static constexpr milliseconds kBudget{5};
  static constexpr std::size_t kMost = 2'000;  // allocations of one step

  void SetUp() override {
    if (!counts_allocations()) GTEST_SKIP() << "operator new is the sanitizer's";
    ControlPlaneTest::SetUp();
    options_.core.ack_timeout = kBudget;
    options_.core.reconnect_grace = milliseconds(1);
    options_.core.restart_grace = milliseconds(1);
  }
  void TearDown() override {
    if (dir_) ControlPlaneTest::TearDown();
  }

  static wire::StartBroadcast short_release(std::string path) {
    auto start = release(std::move(path));
    start.request.ack_timeout = kBudget;
    return start;
  }
  [[nodiscard]] BrokerStatus status() {
    BrokerStatus status;
    server_->core().fill_status(status);
    return status;
  }
  // Runs the loop until it is so.
  bool comes_true(const std::function<bool()>& is_so) {
    const auto latest = std::chrono::steady_clock::now() + kPatience;
    while (!is_so() && std::chrono::steady_clock::now() < latest) {
      context_->run_one_for(milliseconds(50));
    }
    return is_so();
  }
  // Every broadcast ends by its own deadline.
  [[nodiscard]] bool all_end() {
    return comes_true([&] { return status().running_broadcasts.empty(); });
  }
  // Nobody has anything any more. The process of the backends lives, so what they registered as
  // stays until it is forgotten.
  static bool is_same_use(const UserUsage& a, const UserUsage& b) {
    for (const auto share :
         {&UserUsage::connections, &UserUsage::registrations, &UserUsage::broadcasts,
          &UserUsage::operators, &UserUsage::followers, &UserUsage::queued_bytes,
          &UserUsage::answer_bytes, &UserUsage::report_bytes}) {
      if ((a.*share).used != (b.*share).used) return false;
    }
    return a.dead_backends == b.dead_backends;
  }
  [[nodiscard]] std::string what_is_left() {
    (void)comes_true([&] {
      return status().live_backends == 0 && status().reconnecting_backends == 0 &&
             control_->session_count() == 0;
    });
    for (const auto& backend : server_->core().backends({})) {
      (void)server_->core().forget(backend.key, server_->now());
    }
    std::string left;
    for (const auto& user : status().users) {
      UserUsage reports_alone;  // they are kept
      reports_alone.report_bytes.used = user.report_bytes.used;
      if (is_same_use(user, reports_alone)) continue;
      left += " connections " + std::to_string(user.connections.used) + " registrations " +
              std::to_string(user.registrations.used) + " broadcasts " +
              std::to_string(user.broadcasts.used) + " operators " +
              std::to_string(user.operators.used) + " followers " +
              std::to_string(user.followers.used) + " queued " +
              std::to_string(user.queued_bytes.used) + " answers " +
              std::to_string(user.answer_bytes.used);
    }
    if (server_->connection_count() != 0) left += " sockets";
    return left;
  }

  // In a broker of its own. False when the step is through without a failure.
  bool fails_at(std::size_t number, const Step& step) {
    start();
    TestBackend& a = join("a");
    TestBackend& b = join("b");
    TestOperator& op = connect();
    op.asks(1, wire::Ping{});
    EXPECT_EQ(op.hears(), "1 pong");
    const auto stop = [this] { shut_down(); };
    Cast cast{a, b, op, op, *server_, dir_->path(), stop, last_id_};
    if (step.prepare) {
      step.prepare(cast);
      settle();
    }
    TestOperator& waiter = connect();
    waiter.asks(1, short_release("/waited-for"));
    settle();
    Cast taken{a, b, op, waiter, *server_, dir_->path(), stop, last_id_, last_id_};
    if (step.take) step.take(taken);
    bool failed = false;
    try {
      const FailingAllocation failing(number);
      if (step.meanwhile) step.meanwhile(taken);
      settle();
      failed = failing.has_failed();
    } catch (const std::exception& e) {
      ADD_FAILURE() << "the loop ended: " << e.what();
      failed = true;
    }
    settle();
    if (!drained_ && control_->is_serving()) expect_it_answers();
    EXPECT_TRUE(all_end()) << "a broadcast never ends";
    settle();
    EXPECT_EQ(core::Inspection(server_->core()).open_operations(), 0u);
    const std::string waited = waiter.has_heard();
    EXPECT_TRUE(waited.find(" report ") != std::string::npos || waited == "reset") << waited;
    for (TestBackend& backend : backends_) backend.closes();
    taken.newcomer.reset();
    taken.other.reset();
    for (TestOperator& other : operators_) other.closes();
    if (!drained_) {
      EXPECT_EQ(what_is_left(), "");
      EXPECT_TRUE(control_->is_serving());
      EXPECT_TRUE(server_->is_serving());
      shut_down();
      EXPECT_TRUE(comes_true([&] { return drained_; })) << "it cannot be stopped";
    }
    return failed;
  }
};

TEST_P(AllocationFailureTest, CostsThisRequestAlone) {
  std::size_t number = 1;
  for (; number < kMost && fails_at(number, GetParam()); ++number) {
    if (HasFailure()) {
      ADD_FAILURE() << "allocation " << number;
      break;
    }
    TearDown();
    drained_ = false;
    SetUp();
  }
  EXPECT_LT(number, kMost);
}

// A selection, so that the way of all turns is gone.
Selection everybody() { return {Selector::parse("service=*").selector}; }

std::vector<Step> steps() {
  const auto asks = [](const char* name, const auto& request) {
    return Step{name, [request](Cast& cast) { cast.op.asks(2, request); }};
  };
  wire::StartBroadcast dry_run;
  dry_run.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  dry_run.dry_run = true;
  dry_run.request.selection = everybody();
  return {
      asks("Ping", wire::Ping{}),
      asks("DryRun", dry_run),
      asks("GetReport", wire::GetReport{0, false}),
      asks("WaitForReport", wire::GetReport{0, true}),
      asks("ListBackends", wire::ListBackends{everybody()}),
      asks("GetStatus", wire::GetStatus{}),
      asks("Watch", wire::Watch{}),
      asks("PolicyQuestion", PolicyQuestion{}),
      {"Garbage", [](Cast& cast) { cast.op.sends("GET / HTTP/1.1\r\n\r\n"); }},
      {"OperatorLeaves", [](Cast& cast) { cast.waiter.closes(); }},
      {"Activity", [](Cast& cast) { cast.a.is_active(); }},
      {"BackendGarbage", [](Cast& cast) { cast.a.send("GET / HTTP/1.1\r\n\r\n"); }},
      {"HalfAMessage", [](Cast& cast) { cast.a.send(std::string_view("\x01\x40\0\0\0half", 9)); }},
  };
}

INSTANTIATE_TEST_SUITE_P(EachStep, AllocationFailureTest, ::testing::ValuesIn(steps()),
                         [](const auto& step) { return std::string(step.param.name); });

broker::RosterBackend this_process(std::string service) {
  broker::RosterBackend backend;
  backend.registration = registration_of(std::move(service));
  backend.uid = ::getuid();
  backend.gid = ::getgid();
  backend.pid = ::getpid();
  backend.start_ticks = os::start_time(::getpid()).value_or(0);
  return backend;
}

std::vector<Step> core_steps() {
  const auto asks = [](const char* name, const auto& request) {
    return Step{name, [request](Cast& cast) { cast.op.asks(2, request); }};
  };
  wire::StartBroadcast release;
  release.request.operation = BroadcastOperation::release_handles("/cache");
  release.request.ack_timeout = milliseconds(5);
  wire::StartBroadcast followed = release;
  followed.events = true;
  wire::StartBroadcast selected = release;
  selected.detach = true;
  selected.request.selection = everybody();
  const auto times_out = [release](Cast& cast) {
    cast.op.asks(3, release);
    EXPECT_NE(cast.op.hears().find(" report "), std::string::npos);
  };
  return {
      asks("Release", release),
      asks("FollowedRelease", followed),
      asks("DetachedReleaseOfASelection", selected),
      {"CancelBroadcast", [](Cast& cast) { cast.op.asks(2, wire::CancelBroadcast{cast.running}); }},
      {"Ack", [](Cast& cast) { cast.a.acks(cast.running); }},
      {"Failure",
       [](Cast& cast) {
         cast.a.fails(cast.running, BroadcastFailureReason::kRejected, std::string(100, 'd'));
       }},
      {"Working",
       [](Cast& cast) { cast.a.works(cast.running, milliseconds(1), std::string(100, 'n')); }},
      {"Deregister", [](Cast& cast) { cast.a.deregisters(2); }},
      {"BackendLeaves", [](Cast& cast) { cast.a.closes(); }},
      {"LateAnswer",
       [](Cast& cast) {
         cast.a.fails(cast.running - 1, BroadcastFailureReason::kRejected, std::string(100, 'd'));
       },
       times_out},
      {"UnknownAnswer", [](Cast& cast) { cast.a.acks(9); }},
      {"ReportOfOne",
       [](Cast& cast) {
         cast.op.asks(2, wire::GetReport{cast.running - 1, false});
       },
       times_out},
      asks("NoReport", wire::GetReport{9, false}),
  };
}

INSTANTIATE_TEST_SUITE_P(EachCoreStep, AllocationFailureTest, ::testing::ValuesIn(core_steps()),
                         [](const auto& step) { return std::string(step.param.name); });

// Steps of those who come, come back and go.
std::vector<Step> registry_steps() {
  wire::StartBroadcast quiesce;
  quiesce.request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  const auto quiesces_b = [quiesce](Cast& cast) {
    cast.op.asks(3, quiesce);
    EXPECT_NE(cast.b.hears(), "nothing");
    EXPECT_NE(cast.a.hears(), "nothing");
    cast.a.acks(cast.last_id);
    cast.b.acks(cast.last_id);
    EXPECT_NE(cast.op.hears().find(" report "), std::string::npos);
  };
  const auto registers = [](TestBackend& backend, const char* service) {
    Registration registration = registration_of(service);
    registration.labels = {{"tier", std::string(60, 'x')}};
    registration.idle_timeout = std::chrono::hours(1);
    backend.registers(registration);
  };
  return {
      {"Resume",
       [](Cast& cast) {
         cast.op.asks(2, wire::Resume{0, everybody()});
       },
       quiesces_b},
      {"Forget", [](Cast& cast) { cast.op.asks(2, wire::ForgetBackend{registration_of("c").key}); },
       [](Cast& cast) { (void)cast.server.expect(this_process("c")); }},
      {"RegisterAgain",
       [registers](Cast& cast) {
         cast.newcomer = std::make_unique<TestBackend>(cast.dir / "backend.sock");
         registers(*cast.newcomer, "a");
       }},
      {"ConnectAndRegister",
       [registers](Cast& cast) {
         cast.newcomer = std::make_unique<TestBackend>(cast.dir / "backend.sock");
         registers(*cast.newcomer, "c");
       }},
      {"OperatorConnects",
       [](Cast& cast) {
         cast.other =
             std::make_unique<TestOperator>(cast.dir / "control.sock", [] { return false; });
         cast.other->asks(1, wire::Ping{});
       }},
      {"Expect", nullptr, nullptr,
       [](Cast& cast) {
         try {
           (void)cast.server.expect(this_process("c"));
         } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): that one is not
         }                                  // expected
       }},
      {"ShutDown", nullptr, nullptr, [](Cast& cast) { cast.shut_down(); }},
  };
}

INSTANTIATE_TEST_SUITE_P(EachRegistryStep, AllocationFailureTest,
                         ::testing::ValuesIn(registry_steps()),
                         [](const auto& step) { return std::string(step.param.name); });

}  // namespace
}  // namespace muster::test
