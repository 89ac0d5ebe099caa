// The lean clients of what musterd is compared with: their bytes are the other wires'.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "bench/peers/dbus_message.h"
#include "bench/peers/protocols.h"

namespace muster::bench {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using SeenKind = Seen::Kind;

// What a client sees of `input`, piece by piece, and that less than a piece is waited for.
std::vector<SeenKind> seen_by(const ClientProtocol& protocol, std::string_view input) {
  std::vector<SeenKind> kinds;
  for (bool greeted = false; !input.empty(); greeted = true) {
    const Seen seen = protocol.see(input, greeted);
    kinds.push_back(seen.kind);
    if (seen.bytes == 0) return kinds;
    for (std::size_t size = 0; size < seen.bytes; ++size) {
      EXPECT_EQ(protocol.see(input.substr(0, size), greeted).kind, SeenKind::kPartial) << size;
    }
    input.remove_prefix(seen.bytes);
  }
  return kinds;
}

using Kinds = std::vector<SeenKind>;

TEST(BenchSpProtocol, ARespondentAnswersASurveyWithItsId) {
  SpProtocol protocol;
  EXPECT_EQ(protocol.hello(3), "\0SP\0\0\x63\0\0"sv);

  const std::string operation = sample_operation_frame();
  const std::string survey = "\x01\0\0\0\0\0\0\0"s + static_cast<char>(4 + operation.size()) +
                             "\x80\x01\x02\xFF" + operation;
  EXPECT_EQ(seen_by(protocol, "\0SP\0\0\x62\0\0"s + survey),
            (Kinds{SeenKind::kRegistered, SeenKind::kOperation}));

  const std::string ack(AckWriter().write(kSampleId));
  EXPECT_EQ(protocol.answer(protocol.see(survey, true), 3),
            "\x01\0\0\0\0\0\0\0"s + static_cast<char>(4 + ack.size()) + "\x80\x01\x02\xFF" + ack);
}

TEST(BenchSpProtocol, WhoeverIsNoSurveyorIsBad) {
  EXPECT_EQ(seen_by(SpProtocol(), "\0SP\0\0\x30\0\0"sv), Kinds{SeenKind::kBad});
  EXPECT_EQ(seen_by(SpProtocol(), "\0SP\0\0\x62\0\0\x02\0\0\0\0\0\0\0\x04\0\0\0\0"sv),
            (Kinds{SeenKind::kRegistered, SeenKind::kBad}));
}

TEST(BenchZmtpProtocol, ADealerSpeaksWhenTheRouterIsReady) {
  ZmtpProtocol protocol;
  const std::string hello = protocol.hello(3);
  EXPECT_EQ(hello.substr(0, 16), "\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL"sv);
  EXPECT_EQ(hello.substr(64),
            "\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06"
            "DEALER"sv);
  const std::string registration = registration_frame(3);
  EXPECT_EQ(protocol.more(3), "\0"s + static_cast<char>(registration.size()) + registration);

  const std::string registered = sample_registered_frame();
  const std::string operation = sample_operation_frame();
  const std::string message = "\0"s + static_cast<char>(operation.size()) + operation;
  EXPECT_EQ(
      seen_by(protocol,
              hello + "\0"s + static_cast<char>(registered.size()) + registered + message),
      (Kinds{SeenKind::kOther, SeenKind::kGreeting, SeenKind::kRegistered, SeenKind::kOperation}));

  const std::string ack(AckWriter().write(kSampleId));
  EXPECT_EQ(protocol.answer(protocol.see(message, true), 3),
            "\0"s + static_cast<char>(ack.size()) + ack);
}

TEST(BenchZmtpProtocol, AMessageInSeveralFramesIsBad) {
  EXPECT_EQ(ZmtpProtocol().see("\x01\x01x"sv, true).kind, SeenKind::kBad);
}

TEST(BenchDbusMessage, IsWhatTheSpecificationSays) {
  DbusCall call;
  call.type = DbusType::kSignal;
  call.serial = 7;
  call.path = "/";
  call.interface = "a.b";
  call.member = "C";
  call.signature = "s";
  append_dbus_string(call.body, "hi");
  const std::string message = dbus_message(call);
  EXPECT_EQ(message,
            "l\4\0\1\7\0\0\0\7\0\0\0\x37\0\0\0"
            "\1\1o\0\1\0\0\0/\0\0\0\0\0\0\0"
            "\2\1s\0\3\0\0\0a.b\0\0\0\0\0"
            "\3\1s\0\1\0\0\0C\0\0\0\0\0\0\0"
            "\x8\1g\0\1s\0\0"
            "\2\0\0\0hi\0"sv);
  const DbusHead head = see_dbus_message(message + "more");
  EXPECT_EQ(head.type, DbusType::kSignal);
  EXPECT_EQ(head.bytes, message.size());
  EXPECT_EQ(head.body_bytes, 7u);
}

std::string to_clients(DbusType type, std::string body) {
  DbusCall call;
  call.type = type;
  call.signature = body.empty() ? "" : "ay";
  call.body = std::move(body);
  return dbus_message(call);
}

TEST(BenchDbusProtocol, AClientIsRegisteredWithItsMatchAndAnswersSignals) {
  DbusProtocol protocol;
  EXPECT_TRUE(protocol.hello(3).starts_with("\0AUTH EXTERNAL 3"sv));

  std::string name;
  append_dbus_string(name, ":1.7");
  std::string operation;
  append_dbus_bytes(operation, sample_operation_frame());
  const std::string signal = to_clients(DbusType::kSignal, operation);
  EXPECT_EQ(seen_by(protocol, "OK 0123456789abcdef0123456789abcdef\r\n" +
                                  to_clients(DbusType::kMethodReturn, name) +
                                  to_clients(DbusType::kSignal, name) +
                                  to_clients(DbusType::kMethodReturn, "") + signal),
            (Kinds{SeenKind::kGreeting, SeenKind::kOther, SeenKind::kOther, SeenKind::kRegistered,
                   SeenKind::kOperation}));

  const std::string_view answer = protocol.answer(protocol.see(signal, true), 3);
  const DbusHead head = see_dbus_message(answer);
  EXPECT_EQ(head.type, DbusType::kMethodCall);
  EXPECT_EQ(head.bytes, answer.size());
  EXPECT_TRUE(answer.ends_with(AckWriter().write(kSampleId)));
  EXPECT_EQ(protocol.see(to_clients(DbusType::kError, ""), true).kind, SeenKind::kBad);
}

}  // namespace
}  // namespace muster::bench
