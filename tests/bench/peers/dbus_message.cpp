#include "bench/peers/dbus_message.h"

#include <cstring>
#include <unistd.h>
#include <utility>

namespace muster::bench {
namespace {

// The codes of header fields.
enum : std::uint8_t {
  kPathField = 1,
  kInterfaceField = 2,
  kMemberField = 3,
  kDestinationField = 6,
  kSignatureField = 8
};

constexpr std::size_t kFixedBytes = 16;  // with the length of the fields
constexpr std::size_t kBodyBytesAt = 4;
constexpr std::size_t kFieldBytesAt = 12;

constexpr std::size_t aligned(std::size_t size, std::size_t to) {
  return (size + to - 1) / to * to;
}

void align(std::string& bytes, std::size_t to) { bytes.resize(aligned(bytes.size(), to)); }

std::uint32_t u32_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof(number));
  return number;
}

// `fields` begins where the header's fields do, which is a multiple of 8.
void append_field(std::string& fields, std::uint8_t code, char type, std::string_view text) {
  if (text.empty()) return;
  align(fields, 8);
  fields += static_cast<char>(code);
  fields += '\1';  // the length of the variant's signature
  fields += type;
  fields += '\0';
  if (type == 'g') {
    fields += static_cast<char>(text.size());
    fields += text;
    fields += '\0';
  } else {
    append_dbus_string(fields, text);
  }
}

}  // namespace

void append_dbus_u32(std::string& body, std::uint32_t number) {
  body.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void append_dbus_string(std::string& body, std::string_view text) {
  append_dbus_bytes(body, text);
  body += '\0';
}

void append_dbus_bytes(std::string& body, std::string_view bytes) {
  append_dbus_u32(body, static_cast<std::uint32_t>(bytes.size()));
  body += bytes;
}

std::string dbus_message(const DbusCall& call) {
  std::string fields;
  append_field(fields, kPathField, 'o', call.path);
  append_field(fields, kInterfaceField, 's', call.interface);
  append_field(fields, kMemberField, 's', call.member);
  append_field(fields, kDestinationField, 's', call.destination);
  append_field(fields, kSignatureField, 'g', call.signature);

  std::string bytes{'l', static_cast<char>(call.type), call.wants_reply ? '\0' : '\1', '\1'};
  append_dbus_u32(bytes, static_cast<std::uint32_t>(call.body.size()));
  append_dbus_u32(bytes, call.serial);
  append_dbus_u32(bytes, static_cast<std::uint32_t>(fields.size()));
  bytes += fields;
  align(bytes, 8);
  return bytes + call.body;
}

std::string dbus_bus_call(std::uint32_t serial, std::string_view member, std::string_view signature,
                          std::string body) {
  DbusCall call;
  call.serial = serial;
  call.destination = call.interface = "org.freedesktop.DBus";
  call.path = "/org/freedesktop/DBus";
  call.member = member;
  call.signature = signature;
  call.body = std::move(body);
  return dbus_message(call);
}

DbusHead see_dbus_message(std::string_view input) noexcept {
  DbusHead head;
  if (input.size() < kFixedBytes) return head;
  head.type = static_cast<DbusType>(input[1]);
  head.body_bytes = u32_at(input, kBodyBytesAt);
  head.bytes = kFixedBytes + aligned(u32_at(input, kFieldBytesAt), 8) + head.body_bytes;
  return head;
}

std::string dbus_authentication() {
  std::string line("\0AUTH EXTERNAL ", 15);
  for (const char digit : std::to_string(getuid())) {
    line += '3';  // the digits of a digit's code
    line += digit;
  }
  return line + "\r\nBEGIN\r\n";
}

}  // namespace muster::bench
