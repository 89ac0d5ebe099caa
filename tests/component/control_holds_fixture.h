// A control plane whose operators hold paths and have them scanned; muster-scan is played by the
// test.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "component/control_plane_fixture.h"
#include "net/blocking_frames.h"
#include "wire/holders.h"

namespace muster::test {

// Answers each question with what the test gave it last; waits while it is stopped.
class PlayedScans {
 public:
  explicit PlayedScans(const std::filesystem::path& socket) {
    auto listener = os::listen_unix(socket, 0600);
    EXPECT_EQ(listener.problem, "");
    listener_ = std::move(listener.socket);
    thread_ = std::thread([this] { serve(); });
  }
  ~PlayedScans() {
    go_on();
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  void finds(std::vector<Holder> holders) {
    const std::lock_guard lock(mutex_);
    holders_ = std::move(holders);
  }
  void stops() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    stopped_ = false;
    wake_.notify_all();
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  void serve() {
    const int flags = ::fcntl(listener_.get(), F_GETFL);
    ::fcntl(listener_.get(), F_SETFL, flags & ~O_NONBLOCK);
    for (;;) {
      const os::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      std::string problem;
      wire::ScanRequest request;
      const std::string body = net::receive_frame(peer.get(), wire::kMaxScanQuestion, problem);
      if (!problem.empty() || !wire::decode_scan(body, request).empty()) continue;
      ++asked_;
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !stopped_; });
      HolderScan scan;
      scan.prefix = request.path;
      scan.holders = holders_;
      scan.verdict = holders_.empty() ? HolderVerdict::kClear : HolderVerdict::kHeld;
      lock.unlock();
      (void)net::send_frame(peer.get(), wire::encode_scan(scan));
    }
  }

  os::UniqueFd listener_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Holder> holders_;
  bool stopped_ = false;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

class ControlHoldsTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    ControlPlaneTest::SetUp();
    settings_.scan_socket = *dir_ / "scan.sock";
    options_.core.hold_scan_interval = kNever;
    options_.core.verify_scan_interval = std::chrono::milliseconds(1);
  }
  void TearDown() override {
    scans_.reset();
    ControlPlaneTest::TearDown();
  }
  PlayedScans& scans() {
    if (!scans_) scans_.emplace(settings_.scan_socket);
    return *scans_;
  }
  static wire::StartBroadcast leased(std::string path) {
    wire::StartBroadcast start = release(std::move(path));
    start.request.hold = HoldRequest{true, std::nullopt};
    return start;
  }
  static wire::StartBroadcast timed(std::string path) {
    wire::StartBroadcast start = release(std::move(path));
    start.request.hold = HoldRequest{false, kNever};
    return start;
  }
  static const BroadcastReport& report_of(const TestOperator& op) {
    return std::get<BroadcastReport>(std::get<wire::ControlResponse>(op.last().message));
  }
  static const HoldInfo& hold_of(const TestOperator& op) {
    return std::get<HoldInfo>(std::get<wire::ControlResponse>(op.last().message));
  }
  // The operator's report of a release that the backend acks.
  std::string released(TestOperator& op, TestBackend& backend, std::uint64_t number) {
    const std::string heard = backend.hears();
    EXPECT_THAT(heard, testing::HasSubstr("release-handles"));
    const auto id = std::get<OutgoingOperation>(backend.last().message).broadcast_id;
    EXPECT_EQ(std::get<OutgoingOperation>(backend.last().message).hold_id, id);
    backend.acks(id);
    const std::string report = op.hears();
    EXPECT_THAT(report, testing::HasSubstr(std::to_string(number) + " report"));
    return report;
  }

  std::optional<PlayedScans> scans_;
};

}  // namespace muster::test
