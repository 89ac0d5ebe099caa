// D-Bus messages as bytes (little-endian): the few that the bench needs, without a library, so that
// a client costs no more than the others'.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::bench {

enum class DbusType : std::uint8_t { kMethodCall = 1, kMethodReturn = 2, kError = 3, kSignal = 4 };

struct DbusCall {
  DbusType type = DbusType::kMethodCall;
  bool wants_reply = true;
  std::uint32_t serial = 1;
  std::string_view destination;  // empty: none
  std::string_view path;
  std::string_view interface;
  std::string_view member;
  std::string_view signature;  // empty: no body
  std::string body;            // marshalled
};
[[nodiscard]] std::string dbus_message(const DbusCall& call);

// Appends a string or an array of bytes as the body has them. REQUIRES: `body` is empty or ends at
// a multiple of 4.
void append_dbus_string(std::string& body, std::string_view text);
void append_dbus_bytes(std::string& body, std::string_view bytes);
void append_dbus_u32(std::string& body, std::uint32_t number);

struct DbusHead {
  DbusType type = DbusType::kError;
  std::size_t bytes = 0;       // of the whole message; 0: its head is not there yet
  std::size_t body_bytes = 0;  // at its end
};
[[nodiscard]] DbusHead see_dbus_message(std::string_view input) noexcept;

// A call of the bus itself.
[[nodiscard]] std::string dbus_bus_call(std::uint32_t serial, std::string_view member,
                                        std::string_view signature = {}, std::string body = {});

// The SASL exchange as far as the client speaks, for this process's user.
[[nodiscard]] std::string dbus_authentication();

}  // namespace muster::bench
