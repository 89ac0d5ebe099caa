// The thread for what blocks: order, bounds, exceptions, the three phases of its end.
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "musterd/runtime/worker.h"

namespace muster::daemon {
namespace {

class DaemonWorkerTest : public ::testing::Test {
 protected:
  void turn() { ASSERT_EQ(loop_.run_one_for(std::chrono::hours(1)), 1U); }

  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> busy_{loop_.get_executor()};
};

TEST_F(DaemonWorkerTest, WorkRunsInOrderElsewhereAndItsResultComesBackToTheLoop) {
  Worker worker(loop_.get_executor());
  const auto here = std::this_thread::get_id();
  auto told = std::make_shared<std::vector<int>>();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(worker.run([here] { EXPECT_NE(std::this_thread::get_id(), here); },
                           [=](bool finished) {
                             EXPECT_TRUE(finished);
                             EXPECT_EQ(std::this_thread::get_id(), here);
                             told->push_back(i);
                           }));
  }
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_EQ(*told, (std::vector{0, 1, 2}));
}

TEST_F(DaemonWorkerTest, WorkThatThrowsIsNotFinishedAndEndsNothing) {
  Worker worker(loop_.get_executor());
  std::string told;
  ASSERT_TRUE(worker.run([] { throw std::runtime_error("no"); },
                         [&](bool finished) { told += finished ? "finished " : "threw "; }));
  ASSERT_TRUE(worker.run([] {}, [&](bool finished) { told += finished ? "finished" : "threw"; }));
  turn();
  turn();
  EXPECT_EQ(told, "threw finished");
  EXPECT_FALSE(worker.run_and_wait([] { throw std::runtime_error("no"); }, std::chrono::hours(1)));
  EXPECT_TRUE(worker.run_and_wait([] {}, std::chrono::hours(1)));
}

TEST_F(DaemonWorkerTest, WhatWaitsIsBoundedAndIsFinishedAtTheEnd) {
  std::promise<void> go;
  std::shared_future<void> may_go = go.get_future();
  std::promise<void> begun;
  auto ran = std::make_shared<int>(0);
  bool told = false;
  Worker worker(loop_.get_executor(), 2);
  ASSERT_TRUE(worker.run([&begun, may_go] {
    begun.set_value();
    may_go.wait();
  }));
  begun.get_future().wait();
  EXPECT_TRUE(worker.run([ran] { ++*ran; }, [&](bool) { told = true; }));
  EXPECT_TRUE(worker.run([ran] { ++*ran; }));
  EXPECT_FALSE(worker.run([ran] { ++*ran; })) << "two wait already";
  go.set_value();
  EXPECT_TRUE(worker.close(std::chrono::hours(1)));
  EXPECT_EQ(*ran, 2);
  EXPECT_FALSE(worker.run([ran] { ++*ran; })) << "closed";
  loop_.poll();
  EXPECT_EQ(*ran, 2);
}

TEST_F(DaemonWorkerTest, AThreadThatIsStuckIsLeftBehindAndTellsTheLoopNothing) {
  auto go = std::make_shared<std::promise<void>>();
  std::shared_future<void> may_go = go->get_future();
  auto gone = std::make_shared<std::promise<void>>();
  std::future<void> all_gone = gone->get_future();
  bool told = false;
  {
    asio::io_context loop;
    Worker worker(loop.get_executor());
    ASSERT_TRUE(worker.run(
        [may_go, end = std::shared_ptr<void>(nullptr, [gone](void*) { gone->set_value(); })] {
          may_go.wait();
        },
        [&](bool) { told = true; }));
    EXPECT_FALSE(worker.run_and_wait([] {}, std::chrono::milliseconds(1)));
    EXPECT_FALSE(worker.close(std::chrono::milliseconds(1)));
  }
  go->set_value();
  all_gone.wait();
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace muster::daemon
