// The broker's end of the control lane, played by a test: it answers what it is told to.
//
// Each connection has a thread that reads requests and calls the script for each; the script
// answers through its Peer, and may read the next request itself. Destroying it ends the
// connections.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "os/unique_fd.h"
#include "support/temp_dir.h"
#include "wire/control_lane.h"

namespace muster::test {

class ScriptedControl {
 public:
  class Peer {
   public:
    // To the request that was read last.
    void answer(const wire::ControlResponse& response);
    void event(const Event& event);
    // With a number of the script's choice.
    void answer_to(std::uint64_t request_id, const wire::ControlResponse& response);
    void raw(std::string_view bytes);
    // The broker's end of the connection is gone.
    void hang_up();
    // Waits for the next request; nothing when the client hung up.
    std::optional<wire::ControlRequestFrame> next();

   private:
    friend class ScriptedControl;
    Peer(ScriptedControl& owner, int socket) : owner_(owner), socket_(socket) {}
    ScriptedControl& owner_;
    int socket_;
    std::uint64_t request_ = 0;
    std::string input_;
    wire::ControlRequestDecoder decoder_;
  };
  using Script = std::function<void(Peer&, const wire::ControlRequestFrame&)>;

  explicit ScriptedControl(Script script);
  ~ScriptedControl();
  ScriptedControl(const ScriptedControl&) = delete;
  ScriptedControl& operator=(const ScriptedControl&) = delete;

  [[nodiscard]] const std::filesystem::path& dir() const noexcept { return dir_.path(); }
  [[nodiscard]] std::string socket() const { return (dir_ / "control.sock").native(); }
  // What was asked so far, one line each: "ping", "report 17 wait", "broadcast quiesce
  // (maintenance) events".
  [[nodiscard]] std::string requests() const;

 private:
  void serve();
  void converse(int socket);
  void note(const wire::ControlRequestFrame& frame);

  TempDir dir_;
  Script script_;
  os::UniqueFd listener_;
  mutable std::mutex mutex_;  // what follows
  std::vector<os::UniqueFd> connections_;
  std::vector<std::thread> conversations_;
  std::string requests_;
  std::thread thread_;
};

}  // namespace muster::test
