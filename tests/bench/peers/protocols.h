// The wire of what Debian packages beside musterd, as far as a lean client needs it. The message in
// an envelope is the same as musterd's own, so that a client does the same work for each of them.
//
//   SpProtocol     nng's RESPONDENT, over its ipc transport
//   ZmtpProtocol   ZeroMQ's DEALER (ZMTP 3.0, the NULL mechanism)
//   DbusProtocol   D-Bus: told by a signal, answers with a call to whoever asks that wants no reply
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "bench/frames.h"

namespace muster::bench {

class SpProtocol final : public ClientProtocol {
 public:
  std::string hello(std::size_t client) const override;
  Seen see(std::string_view input, bool greeted) const noexcept override;
  std::string_view answer(const Seen& operation, std::size_t client) noexcept override;

 private:
  AckWriter acks_;
  std::array<char, 96> message_{};
};

class ZmtpProtocol final : public ClientProtocol {
 public:
  std::string hello(std::size_t client) const override;
  // libzmq wants no message before it has said that it is ready.
  std::string more(std::size_t client) const override;
  Seen see(std::string_view input, bool greeted) const noexcept override;
  std::string_view answer(const Seen& operation, std::size_t client) noexcept override;

 private:
  AckWriter acks_;
  std::array<char, 96> message_{};
};

class DbusProtocol final : public ClientProtocol {
 public:
  DbusProtocol();
  std::string hello(std::size_t client) const override;
  Seen see(std::string_view input, bool greeted) const noexcept override;
  std::string_view answer(const Seen& operation, std::size_t client) noexcept override;

 private:
  std::string answer_;
};

}  // namespace muster::bench
