// The stores of a broker in a directory of their own, started again and again.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "musterd/state/operation_keys.h"
#include "musterd/state/roster.h"
#include "support/key_of.h"
#include "support/temp_dir.h"

namespace muster::daemon {

inline constexpr std::uint64_t kStoresNow = 1'800'000'000'000;

inline RosterEntry entry_of(const std::string& service) {
  RosterEntry entry = describe_process(::getpid());
  entry.uid = 4;
  entry.gid = 5;
  entry.registration.key = test::key_of(service);
  return entry;
}

// Services, in order.
inline std::string services(const std::vector<RosterEntry>& entries) {
  std::string names;
  for (const RosterEntry& entry : entries) names += entry.registration.key.service_name + ' ';
  return names;
}

class DaemonStoresTest : public ::testing::Test {
 protected:
  // A broker's run; its end is a crash unless the store was closed.
  struct StoresRun {
    asio::io_context loop;
    asio::executor_work_guard<asio::io_context::executor_type> busy{loop.get_executor()};
    Worker worker{loop.get_executor()};
    std::unique_ptr<RosterStore> roster;
    std::unique_ptr<KeyStore> keys;

    void until(const bool& holds) {
      while (!holds) ASSERT_EQ(loop.run_one_for(std::chrono::hours(1)), 1U);
    }
  };

  std::unique_ptr<StoresRun> start(std::uint64_t now = kStoresNow, bool had_predecessor = false) {
    auto run = std::make_unique<StoresRun>();
    run->roster = std::make_unique<RosterStore>(run->loop.get_executor(), run->worker, dir_.path(),
                                                log_, had_predecessor);
    run->keys =
        std::make_unique<KeyStore>(run->loop.get_executor(), run->worker, dir_.path(), log_, now);
    return run;
  }
  [[nodiscard]] std::string logged() const { return text_.str(); }

  test::TempDir dir_;
  std::ostringstream text_;
  Log log_{std::make_shared<spdlog::sinks::ostream_sink_mt>(text_), {}, Log::Reader::kJournal};
  os::Whereabouts here_ = os::current_whereabouts();
};

}  // namespace muster::daemon
