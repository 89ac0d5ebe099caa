// What a handler of musterd's loop throws is logged and counted, and ends nothing else.
#include <functional>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

#include <asio/post.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "musterd/runtime/run_loop.h"
#include "support/allocations.h"

namespace muster::daemon {
namespace {

class DaemonRunLoopTest : public ::testing::Test {
 protected:
  void posts(std::function<void()> handler) { asio::post(loop_, std::move(handler)); }
  bool run() {
    return run_loop(loop_, log_, [this] { ++counted_; });
  }

  asio::io_context loop_{1};
  std::ostringstream text_;
  Log log_{std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, Log::Reader::kJournal};
  int counted_ = 0;
};

TEST_F(DaemonRunLoopTest, WhateverAHandlerThrowsIsLoggedCountedAndEndsThatHandlerAlone) {
  int handled = 0;
  posts([] { throw std::runtime_error("no such thing"); });
  posts([&] { ++handled; });
  posts([] { throw std::bad_alloc(); });
  posts([] { throw 7; });
  posts([&] { ++handled; });
  EXPECT_TRUE(run());
  EXPECT_EQ(handled, 2);
  EXPECT_EQ(counted_, 3);
  EXPECT_EQ(text_.str(),
            "<3>internal error, continuing what=\"no such thing\"\n"
            "<3>internal error, continuing what=std::bad_alloc\n"
            "<3>internal error, continuing what=\"an unknown exception\"\n");
}

TEST_F(DaemonRunLoopTest, ExceptionsThatDoNotEndEndTheProcessWithALineInTheLog) {
  std::function<void()> fails = [&] {
    posts(fails);
    throw std::runtime_error("again");
  };
  posts(fails);
  EXPECT_FALSE(run());
  EXPECT_EQ(counted_, kMostFailuresASecond);
  EXPECT_NE(text_.str().find("<3>too many internal errors in a second, exiting in_a_second=100\n"),
            std::string::npos);
}

TEST_F(DaemonRunLoopTest, WithoutMemoryForTheFieldsTheLineIsThere) {
  if (!test::counts_allocations()) GTEST_SKIP() << "operator new is the sanitizer's";
  const test::FailingAllocation failing(1);
  log_.error("internal error, continuing", {{"what", std::string_view("a reason that is long")}});
  EXPECT_TRUE(failing.has_failed());
  EXPECT_EQ(text_.str(), "<3>internal error, continuing\n");
}

}  // namespace
}  // namespace muster::daemon
