// One allocation that fails, at each point of each thing that happens to a backend in turn: the
// process lives, the backend is registered again, and no ack is sent that no handler gave.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "muster/backend.h"

#include "component/backend_sdk_fixture.h"
#include "component/driven_backend.h"
#include "support/allocations.h"
#include "support/scripted_broker.h"
#include "support/temp_dir.h"

namespace muster::test {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// What a step is taken with.
struct Stage {
  std::optional<ScriptedPeer>& peer;  // registered
  DrivenBackend& backend;
  PendingAnswer& owed;  // of broadcast 5, which its handler deferred
};

struct SdkStep {
  const char* name;
  std::function<void(Stage&)> take;         // the backend does not run meanwhile
  bool new_broker = false;                  // the connection ends, and another broker answers
  std::function<void(Stage&)> within = {};  // the same while allocations fail
};

std::ostream& operator<<(std::ostream& out, const SdkStep& step) { return out << step.name; }

class BackendSdkAllocationTest : public ::testing::TestWithParam<std::tuple<Flavour, SdkStep>> {
 protected:
  static constexpr std::size_t kMost = 3'000;  // allocations of one step
  static constexpr char kThisEpoch[] = "0123456789abcdef";
  static constexpr char kNextEpoch[] = "fedcba9876543210";

  void SetUp() override {
    if (!counts_allocations()) GTEST_SKIP() << "operator new is the sanitizer's";
  }

  // By its path a handler can tell the broker that asked, as ids are the same again.
  [[nodiscard]] std::string path() const { return epoch_ == kThisEpoch ? "/this" : "/next"; }
  void handle(Request& request) {
    const std::string of(request.path_prefix());
    const BroadcastId id = request.broadcast_id();
    if (id == 5 || (id >= 20 && id < 40)) {
      owed_.push_back({std::to_string(id) + of, request.defer()});
      return;
    }
    if (id == 6) throw std::runtime_error(std::string(100, 'f'));
    if (id == 8) request.reject(std::string(100, 'r'));
    if (id == 9) request.working(1s, std::string(100, 'w'));
    request.released(1);
    if (id != 8) acked_.insert(std::to_string(id) + of);
  }
  [[nodiscard]] std::unique_ptr<DrivenBackend> make_backend() {
    BackendOptions options;
    options.key.service_name = "zccache";
    options.key.service_version = "1.4.2";
    options.idle_timeout = 1min;
    options.socket_dir = dir_.path();
    options.first_retry = 1ms;
    options.longest_retry = 2ms;
    const auto release = [this](Request& request) { handle(request); };
    const auto nothing = [](const auto&) {};
    if (std::get<0>(GetParam()) == Flavour::kCallersLoop) {
      return std::make_unique<DrivenByAsio>(std::move(options), [&](Backend& backend) {
        backend.on_release_handles(release);
        backend.on_cancel(nothing);
        backend.on_state(nothing);
        backend.on_active_holds(nothing);
        backend.on_hold_ended(nothing);
      });
    }
    Registration registration;
    registration.key = options.key;
    registration.idle_timeout = options.idle_timeout;
    BackendHandlers handlers;
    handlers.on(OperationKind::kReleaseHandles) = release;
    handlers.cancel = nothing;
    handlers.state = nothing;
    handlers.active_holds = nothing;
    handlers.hold_ended = nothing;
    return std::make_unique<DrivenLoop>(dir_.path(), std::move(registration), std::move(handlers));
  }

  // Which may have ended the connection by now.
  void ask(BroadcastId id) {
    try {
      if (peer_) peer_->release(id, path());
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): heard of later
    }
  }
  // Takes what the backend said. False when it ended the connection.
  bool hear(const std::string& wanted, bool& heard) {
    while (peer_->has_spoken()) {
      const std::string said = peer_->next();
      if (said == "closed" || said == "reset") return false;
      heard = heard || said == wanted;
      if (!said.starts_with("Ack ")) continue;
      const std::string id = said.substr(4, said.find(' ', 4) - 4);
      EXPECT_EQ(acked_.count(id + path()), 1u) << said << ": no handler gave it";
    }
    return true;
  }
  // Plays the broker until the backend said `wanted`. `open`: what is sent again to one that came
  // back.
  bool play_until(const std::string& wanted, BroadcastId open = 0) {
    const auto latest = std::chrono::steady_clock::now() + kGenerous;
    bool heard = false;
    while (!heard && std::chrono::steady_clock::now() < latest) {
      backend_->drive();
      if (peer_ && !hear(wanted, heard)) peer_.reset();
      if (heard || peer_ || !broker_->is_called()) continue;
      peer_.emplace(broker_->accept());
      peer_->belongs_to(epoch_);
      backend_->drive();
      if (!peer_->has_spoken()) continue;
      const std::string said = peer_->next();
      if (!said.starts_with("Register ")) {
        peer_.reset();
        continue;
      }
      peer_->registered();
      if (open != 0) peer_->release(open, path());
      heard = wanted == "Register";
    }
    return heard;
  }

  void prepare() {
    epoch_ = kThisEpoch;
    acked_.clear();
    peer_.reset();
    broker_ = std::make_unique<ScriptedBroker>(dir_.path());
    backend_ = make_backend();
  }
  void finish() {
    backend_.reset();
    owed_.clear();
    broker_.reset();
  }
  // False when the step is through without a failure.
  bool fails_at(std::size_t number, const SdkStep& step) {
    prepare();
    EXPECT_TRUE(play_until("Register"));
    peer_->release(5, path());
    backend_->drive();
    if (owed_.size() != 1) throw std::logic_error("broadcast 5 did not reach its handler");
    PendingAnswer owed = std::move(owed_.front().answer);
    owed_.clear();
    Stage stage{peer_, *backend_, owed};
    if (step.take) step.take(stage);
    if (step.new_broker) {
      peer_.reset();
      epoch_ = kNextEpoch;
      EXPECT_TRUE(play_until("Register"));
    }
    bool failed = false;
    try {
      const FailingAllocation failing(number);
      try {
        if (step.within) step.within(stage);
      } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the caller sees it
      }
      backend_->drive();
      failed = failing.has_failed();
    } catch (const std::exception& e) {
      ADD_FAILURE() << "it reached the caller's loop: " << e.what();
      failed = true;
    }
    ask(5);  // as a broker does that has it open
    backend_->drive();
    // A late answer, and not one to the other broker's broadcast 5.
    acked_.insert("5/this");
    owed.ack();
    ask(99);
    EXPECT_TRUE(play_until("Ack 99 released 1", 99)) << "it is not registered again";
    for (Owed& one : owed_) {
      acked_.insert(one.what);
      one.answer.ack();
    }
    owed_.clear();
    ask(98);
    EXPECT_TRUE(play_until("Ack 98 released 1", 98));
    finish();
    return failed;
  }

  TempDir dir_;
  std::string epoch_;
  std::set<std::string> acked_;  // id and path, by a handler
  struct Owed {
    std::string what;  // id and path
    PendingAnswer answer;
  };
  std::vector<Owed> owed_;
  std::unique_ptr<ScriptedBroker> broker_;
  std::optional<ScriptedPeer> peer_;
  std::unique_ptr<DrivenBackend> backend_;
};

class BackendSdkAllocationEndsTest : public BackendSdkAllocationTest {
 protected:
  bool start_fails_at(std::size_t number) {
    prepare();
    bool failed = false;
    {
      const FailingAllocation failing(number);
      backend_->drive();
      failed = failing.has_failed();
    }
    EXPECT_TRUE(play_until("Register")) << "it never came";
    ask(99);
    EXPECT_TRUE(play_until("Ack 99 released 1", 99));
    finish();
    return failed;
  }
  bool end_fails_at(std::size_t number) {
    prepare();
    EXPECT_TRUE(play_until("Register"));
    peer_->release(5, path());
    backend_->drive();
    bool failed = false;
    {
      const FailingAllocation failing(number);
      backend_.reset();
      failed = failing.has_failed();
    }
    bool heard = false;
    EXPECT_FALSE(hear("", heard)) << "the connection ends";
    finish();
    return failed;
  }
};

TEST_P(BackendSdkAllocationEndsTest, StartsAllTheSame) {
  std::size_t number = 1;
  while (number < kMost && start_fails_at(number) && !HasFailure()) ++number;
  EXPECT_FALSE(HasFailure()) << "allocation " << number;
  EXPECT_GT(number, 1u);
}

TEST_P(BackendSdkAllocationEndsTest, EndsAllTheSame) {
  std::size_t number = 1;
  while (number < kMost && end_fails_at(number) && !HasFailure()) ++number;
  EXPECT_FALSE(HasFailure()) << "allocation " << number;
  EXPECT_GT(number, 1u);
}

INSTANTIATE_TEST_SUITE_P(Both, BackendSdkAllocationEndsTest,
                         ::testing::Combine(::testing::Values(Flavour::kOwnThread,
                                                              Flavour::kCallersLoop),
                                            ::testing::Values(SdkStep{"", {}})),
                         [](const auto& of) {
                           return std::get<0>(of.param) == Flavour::kOwnThread ? "OwnThread"
                                                                               : "CallersLoop";
                         });

TEST_P(BackendSdkAllocationTest, CostsAConnectionAtMost) {
  const SdkStep& step = std::get<1>(GetParam());
  std::size_t number = 1;
  for (; number < kMost && fails_at(number, step); ++number) {
    if (HasFailure()) break;
  }
  EXPECT_FALSE(HasFailure()) << "allocation " << number;
  EXPECT_LT(number, kMost);
  EXPECT_GT(number, 1u) << "nothing was allocated: this test has tested nothing";
}

std::vector<SdkStep> sdk_steps() {
  const auto asks = [](BroadcastId id) {
    return [id](Stage& stage) { stage.peer->release(id, "/this"); };
  };
  return {
      {"AnAck", asks(7)},
      {"AnException", asks(6)},
      {"AReject", asks(8)},
      {"AWorking", asks(9)},
      {"NoHandler", [](Stage& stage) { stage.peer->quiesce(7); }},
      {"TheSameAgain", asks(5)},
      {"Several",
       [](Stage& stage) {
         for (BroadcastId id = 6; id < 12; ++id) stage.peer->release(id, "/this");
       }},
      {"ACancel", [](Stage& stage) { stage.peer->cancel(5); }},
      {"ACancelRightBehind",
       [](Stage& stage) {
         stage.peer->release(7, "/this");
         stage.peer->cancel(7);
       }},
      {"TheEndOfAHold", [](Stage& stage) { stage.peer->hold_ended(3, HoldEnd::kResumed); }},
      {"ARefusal",
       [](Stage& stage) { stage.peer->refuse(RefusalCode::kQuota, std::string(100, 'q'), 1ms); }},
      {"Garbage", [](Stage& stage) { stage.peer->send("GET / HTTP/1.1\r\n\r\n"); }},
      {"TheEndOfTheConnection", [](Stage& stage) { stage.peer.reset(); }},
      {"AnotherBroker",
       [](Stage& stage) {  // which knows nothing of all that is in hand
         for (BroadcastId id = 20; id < 40; ++id) stage.peer->release(id, "/this");
         stage.backend.drive();
       },
       true},
      {"ActivityOfAUser", {}, false, [](Stage& stage) { stage.backend.activity(); }},
      {"ALateWorking",
       {},
       false,
       [](Stage& stage) { stage.owed.working(1s, std::string(100, 'l')); }},
      {"ALateFailure", {}, false, [](Stage& stage) { stage.owed.fail(std::string(100, 'l')); }},
  };
}

INSTANTIATE_TEST_SUITE_P(Each, BackendSdkAllocationTest,
                         ::testing::Combine(::testing::Values(Flavour::kOwnThread,
                                                              Flavour::kCallersLoop),
                                            ::testing::ValuesIn(sdk_steps())),
                         [](const auto& of) {
                           return std::string(std::get<1>(of.param).name) +
                                  (std::get<0>(of.param) == Flavour::kOwnThread ? "OwnThread"
                                                                                : "CallersLoop");
                         });

}  // namespace
}  // namespace muster::test
