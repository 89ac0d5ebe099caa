// Asking the service manager whether a SIGTERM is a restart: bounded, whatever becomes of the bus.
// What a real systemd answers: tests/system/systemd_restart.sh.
#include "musterd/service/service_job.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <future>
#include <new>
#include <string>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "os/listener.h"
#include "support/temp_dir.h"

namespace muster::daemon {
namespace {

using std::chrono::milliseconds;

class ServiceJobTest : public ::testing::Test {
 protected:
  ~ServiceJobTest() override {
    for (const char* name : kBuses) ::unsetenv(name);
  }
  void bus_is(const std::string& path) const {
    for (const char* name : kBuses) ::setenv(name, ("unix:path=" + path).c_str(), 1);
  }
  // Runs the loop out of work. What was answered, each on a line.
  std::string answers(ServiceJobQuestion& question) {
    std::string all;
    question.ask([&](const ServiceJob& job) { all += job.type + '|' + job.problem + '\n'; });
    loop_.run();
    return all;
  }

  static constexpr std::array<const char*, 2> kBuses{"DBUS_SYSTEM_BUS_ADDRESS",
                                                     "DBUS_SESSION_BUS_ADDRESS"};
  test::TempDir dir_;
  asio::io_context loop_{1};
};

TEST_F(ServiceJobTest, EveryKindOfRestartIsOneAndNothingElse) {
  for (const char* type :
       {"restart", "try-restart", "reload-or-restart", "try-reload-or-restart"}) {
    EXPECT_TRUE((ServiceJob{type, {}}.is_restart())) << type;
  }
  for (const char* type : {"", "stop", "start", "reload", "verify-active", "nop"}) {
    EXPECT_FALSE((ServiceJob{type, {}}.is_restart())) << type;
  }
}

TEST_F(ServiceJobTest, ABusThatIsNotThereIsAProblemAtOnce) {
  bus_is(dir_ / "none");
  const ServiceJob job = ask_service_job(std::chrono::hours(1));
  EXPECT_EQ(job.type, "");
  EXPECT_EQ(job.problem, "the bus cannot be reached: No such file or directory");
}

TEST_F(ServiceJobTest, ABusThatDoesNotAnswerIsAProblemWhenTheTimeIsOver) {
  const auto deaf = os::listen_unix(dir_ / "bus", 0600);
  ASSERT_EQ(deaf.problem, "");
  bus_is(dir_ / "bus");
  const ServiceJob job = ask_service_job(milliseconds(0));
  EXPECT_EQ(job.type, "");
  EXPECT_EQ(job.problem, "the bus does not answer: Connection timed out");
}

TEST_F(ServiceJobTest, TheLoopIsAnsweredInTimeByAThreadThatHangs) {
  std::promise<void> end;
  ServiceJobQuestion question(loop_.get_executor(),
                              [hang = end.get_future().share()](milliseconds) {
                                hang.wait();
                                return ServiceJob{"restart", {}};
                              });
  const auto asked_at = std::chrono::steady_clock::now();
  EXPECT_EQ(answers(question), "|the service manager does not answer in time\n");
  EXPECT_GE(std::chrono::steady_clock::now() - asked_at, ServiceJobQuestion::kPatience);
  end.set_value();
}

TEST_F(ServiceJobTest, TheAnswerComesOnceThoughTheTimeIsOverMeanwhile) {
  ServiceJobQuestion question(loop_.get_executor(), [](milliseconds) {
    return ServiceJob{"restart", {}};
  });
  EXPECT_EQ(answers(question), "restart|\n");
  EXPECT_FALSE(question.give_up("too late"));
}

TEST_F(ServiceJobTest, WhoGivesUpIsAnsweredAtOnceAndHearsNoMore) {
  std::promise<void> end;
  std::string all;
  {
    ServiceJobQuestion question(loop_.get_executor(),
                                [hang = end.get_future().share()](milliseconds) {
                                  hang.wait();
                                  return ServiceJob{"restart", {}};
                                });
    question.ask([&](const ServiceJob& job) { all += job.type + '|' + job.problem + '\n'; });
    EXPECT_TRUE(question.give_up("a second stop signal came"));
    EXPECT_EQ(all, "|a second stop signal came\n");
    EXPECT_FALSE(question.give_up("and again"));
    end.set_value();
  }
  loop_.run();
  EXPECT_EQ(all, "|a second stop signal came\n");
}

TEST_F(ServiceJobTest, AnAnswerThatCannotBeHadIsAProblem) {
  ServiceJobQuestion question(loop_.get_executor(),
                              [](milliseconds) -> ServiceJob { throw std::bad_alloc(); });
  EXPECT_EQ(answers(question), "|out of memory\n");
}

}  // namespace
}  // namespace muster::daemon
