// A broker whose every move is the test's: a real socket, the real wire, no logic of its own.
//
// Used on the test's thread alone. Every wait has a generous limit, and throws std::runtime_error
// when it passes, so that a broken test ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "os/unique_fd.h"
#include "wire/backend_lane.h"

namespace muster::test {

// One accepted connection.
class ScriptedPeer {
 public:
  explicit ScriptedPeer(os::UniqueFd socket) : socket_(std::move(socket)) {}

  // The next frame as text_of() has it, "closed" at the end of the stream, "reset" when the other
  // side left something unread.
  std::string next();
  // The next that is neither Working nor Activity.
  std::string next_answer() {
    std::string text;
    do text = next();
    while (text.starts_with("Working") || text == "Activity");
    return text;
  }
  // next() for a Registration, in full.
  Registration registration();

  // What registered() says from now on; without it, all peers speak for one broker.
  void belongs_to(std::string epoch) { epoch_ = std::move(epoch); }
  void registered(Incarnation incarnation = 1, std::vector<ActiveHold> holds = {});
  // Takes the Register and answers it. Returns the text of the Register.
  std::string welcome(Incarnation incarnation = 1);
  void release(BroadcastId id, std::string path = "/cache");
  // The same with a hold of that id.
  void hold(BroadcastId id, std::string path = "/cache", std::string alias = {},
            std::uint64_t expires_unix_ms = 0);
  void quiesce(BroadcastId id, QuiesceReason reason = QuiesceReason::kMaintenance);
  void cancel(BroadcastId id);
  void refuse(RefusalCode code, std::string reason, std::chrono::milliseconds retry_after = {});
  void hold_ended(HoldId id, HoldEnd why);
  void deregistered();
  void send(std::string_view bytes);
  void close() { socket_.reset(); }
  // next() would not wait, or at most for the rest of a frame.
  [[nodiscard]] bool has_spoken() const;

 private:
  wire::BackendFrame next_frame(std::string& end);

  std::string epoch_ = "0123456789abcdef";
  os::UniqueFd socket_;
  std::string input_;
  std::size_t taken_ = 0;
  std::unique_ptr<wire::BackendFrameDecoder> decoder_ =
      std::make_unique<wire::BackendFrameDecoder>();
};

class ScriptedBroker {
 public:
  // Listens on backend.sock in `dir`.
  explicit ScriptedBroker(const std::filesystem::path& dir, int backlog = 128);
  // Closes the listener and removes its socket, as a broker that ends does.
  ~ScriptedBroker();
  ScriptedBroker(const ScriptedBroker&) = delete;
  ScriptedBroker& operator=(const ScriptedBroker&) = delete;

  [[nodiscard]] ScriptedPeer accept();
  // accept() would not wait.
  [[nodiscard]] bool is_called() const;

 private:
  std::string path_;
  os::UniqueFd listener_;
};

}  // namespace muster::test
