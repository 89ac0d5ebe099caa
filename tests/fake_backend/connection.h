// One connection of a fake backend to the broker's backend socket: bytes in, frames out, and what
// a decent client would not do with it. Lives on the loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "fake_backend/loop.h"

namespace muster::fake {

class Connection final : public Loop::Source {
 public:
  class Owner {
   public:
    // One frame's body. May close the connection, not destroy it.
    virtual void on_frame(Connection& connection, std::string_view body) = 0;
    // What came cannot be cut into frames; the connection is closed already.
    virtual void on_bad_frame(Connection& connection, std::string_view problem) = 0;
    // The broker ended it; it is closed already. Not called after close().
    virtual void on_ended(Connection& connection) = 0;

   protected:
    ~Owner() = default;
  };

  Connection(Loop& loop, Owner& owner) : loop_(loop), owner_(owner) {}
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // REQUIRES: was not open before. resource_unavailable_try_again: the listener's queue is full.
  [[nodiscard]] std::error_code open(const std::filesystem::path& socket);
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int descriptor() const noexcept { return fd_; }

  // Sends what the socket takes now, keeps the rest. Nothing when it is closed.
  void send(std::string_view bytes);
  // From now on everything is sent one byte at a time, `gap` apart.
  void trickle(std::chrono::milliseconds gap);
  // From now on nothing is read, and the broker's closing is not noticed.
  void stop_reading();
  [[nodiscard]] bool reads() const noexcept { return reads_; }
  void half_close();
  void close();

 private:
  void ready(std::uint32_t events) override;
  void read();
  void cut_frames();
  void flush();
  void send_one_byte();
  void watch_for_writing(bool on);

  Loop& loop_;
  Owner& owner_;
  int fd_ = -1;
  std::string received_;  // the beginning of a frame
  std::string unsent_;
  std::chrono::milliseconds gap_{};  // of trickle(); 0: none
  bool byte_scheduled_ = false;
  bool waits_to_write_ = false;
  bool reads_ = true;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what a timer asks for
};

}  // namespace muster::fake
