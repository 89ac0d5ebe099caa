#include <utility>

#include "bench/peers/dbus_message.h"
#include "bench/peers/dbus_names.h"
#include "bench/peers/protocols.h"

namespace muster::bench {

DbusProtocol::DbusProtocol() {
  DbusCall call;
  call.wants_reply = false;
  call.destination = kOperatorName;
  call.path = kDbusPath;
  call.interface = kDbusInterface;
  call.member = kAnswerMember;
  call.signature = "ay";
  append_dbus_bytes(call.body, AckWriter().write(kSampleId));
  answer_ = dbus_message(call);
}

std::string DbusProtocol::hello(std::size_t) const {
  std::string rule;
  append_dbus_string(rule, "type='signal',interface='" + std::string(kDbusInterface) +
                               "',member='" + std::string(kOperationMember) + "'");
  return dbus_authentication() + dbus_bus_call(1, "Hello") +
         dbus_bus_call(2, "AddMatch", "s", std::move(rule));
}

Seen DbusProtocol::see(std::string_view input, bool greeted) const noexcept {
  Seen seen;
  if (!greeted) {
    const std::size_t end = input.find("\r\n");
    if (end == std::string_view::npos) return seen;
    if (!input.starts_with("OK ")) return {Seen::Kind::kBad};
    return {Seen::Kind::kGreeting, end + 2};
  }
  const DbusHead head = see_dbus_message(input);
  if (head.bytes == 0 || head.bytes > input.size()) return seen;
  if (head.type == DbusType::kError) return {Seen::Kind::kBad};
  seen.kind = Seen::Kind::kOther;
  constexpr std::size_t kLengthBytes = 4;
  if (head.type == DbusType::kMethodReturn && head.body_bytes == 0) {
    seen.kind = Seen::Kind::kRegistered;  // AddMatch returns nothing, Hello a name
  } else if (head.type == DbusType::kSignal && head.body_bytes > kLengthBytes) {
    const Seen inner = see_frame(
        input.substr(head.bytes - head.body_bytes + kLengthBytes, head.body_bytes - kLengthBytes));
    // Else it is the bus telling a name.
    if (inner.kind == Seen::Kind::kOperation) seen = inner;
  }
  seen.bytes = head.bytes;
  return seen;
}

// Every operation here has the sample's id.
std::string_view DbusProtocol::answer(const Seen&, std::size_t) noexcept { return answer_; }

}  // namespace muster::bench
