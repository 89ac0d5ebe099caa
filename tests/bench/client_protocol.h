// What the lean client has to know of a server's wire: how to register, how to tell an operation,
// how to answer it. Everything else about the client is the same for every server, so that the
// servers are what is compared.
//
// The payload is the same everywhere, too: musterd's own frames. musterd and the floor get them as
// they are, the others inside of what their libraries put around a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::bench {

struct Seen {
  enum class Kind : std::uint8_t {
    kPartial,     // the rest of it has not arrived
    kBad,         // nothing that this server may say
    kGreeting,    // comes once, and the client says more()
    kRegistered,  // from now on operations may come
    kOperation,   // is to be answered
    kTold,        // counts like an operation, and is not answered
    kOther,       // is nothing to the client
  };
  Kind kind = Kind::kPartial;
  std::size_t bytes = 0;  // of it, header included; 0 where it is partial or bad
  std::uint64_t request_id = 0;
};

class ClientProtocol {
 public:
  virtual ~ClientProtocol() = default;

  // What client `client` sends when it has connected, and after the server's greeting.
  [[nodiscard]] virtual std::string hello(std::size_t client) const = 0;
  [[nodiscard]] virtual std::string more(std::size_t) const { return {}; }
  // What stands at the beginning of `input`. `greeted`: it is not the first on this connection.
  [[nodiscard]] virtual Seen see(std::string_view input, bool greeted) const noexcept = 0;
  // The answer to an operation; good until the next call. Empty: none is sent.
  [[nodiscard]] virtual std::string_view answer(const Seen& operation,
                                                std::size_t client) noexcept = 0;
};

}  // namespace muster::bench
