// How long encoding and decoding takes, and what leaving all of it to Protobuf would take.
#include <benchmark/benchmark.h>

#include "muster/v1/envelope.pb.h"
#include "muster/v1/lifecycle.pb.h"

#include "wire/backend_lane.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::wire {
namespace {

constexpr std::uint64_t kId = 123'456'789;

std::string body(const std::string& frame) { return frame.substr(kHeaderBytes); }

Registration registration() {
  Registration registration;
  registration.key = {Instance::private_to("soldr"), "zccache", "1.4.2", "a"};
  registration.labels = {{"tier", "hot"}, {"zone", "b"}};
  registration.sdk_name = "muster-cpp";
  registration.sdk_version = "0.1.0";
  return registration;
}

OutgoingOperation operation() {
  OutgoingOperation operation;
  operation.broadcast_id = kId;
  operation.operation = BroadcastOperation::release_handles("/var/cache/zccache/objects");
  operation.ack_timeout = std::chrono::seconds(5);
  operation.deadline_unix_ms = 1'700'000'005'000;
  return operation;
}

void decode_from_backend(benchmark::State& state, const std::string& bytes) {
  BackendFrameDecoder decoder;
  BackendFrame out;
  for (auto _ : state) {
    auto problem = decoder.decode(bytes, out);
    benchmark::DoNotOptimize(problem);
    benchmark::DoNotOptimize(out);
  }
}

void framing(benchmark::State& state) {
  const std::string frame = encode(kId, Ack{});
  for (auto _ : state) benchmark::DoNotOptimize(next_frame(frame, kMaxBackendBody));
}
BENCHMARK(framing);

void decode_ack(benchmark::State& state) { decode_from_backend(state, body(encode(kId, Ack{}))); }
BENCHMARK(decode_ack);

void decode_ack_with_an_unknown_field(benchmark::State& state) {
  decode_from_backend(state, body(encode(kId, Ack{})) + "\x7a\x01x");
}
BENCHMARK(decode_ack_with_an_unknown_field);

void decode_ack_by_protobuf_alone(benchmark::State& state) {
  const std::string bytes = body(encode(kId, Ack{}));
  v1::Frame frame;
  v1::BackendMessage message;
  for (auto _ : state) {
    bool good = frame.ParseFromString(bytes) && message.ParseFromString(frame.payload());
    benchmark::DoNotOptimize(good);
  }
}
BENCHMARK(decode_ack_by_protobuf_alone);

void decode_working(benchmark::State& state) {
  decode_from_backend(state, body(encode(kId, Working{std::chrono::seconds(1), 40, "flushing"})));
}
BENCHMARK(decode_working);

void decode_failure(benchmark::State& state) {
  decode_from_backend(state, body(encode(kId, Failure{BroadcastFailureReason::kRejected, "busy"})));
}
BENCHMARK(decode_failure);

void decode_register(benchmark::State& state) {
  decode_from_backend(state, body(encode(kId, registration())));
}
BENCHMARK(decode_register);

void decode_operation(benchmark::State& state) {
  const std::string bytes = body(encode(operation()));
  BrokerFrameDecoder decoder;
  BrokerFrame out;
  for (auto _ : state) {
    auto problem = decoder.decode(bytes, out);
    benchmark::DoNotOptimize(problem);
  }
}
BENCHMARK(decode_operation);

void encode_ack(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(encode(kId, Ack{}));
}
BENCHMARK(encode_ack);

void encode_cancel(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(wire::encode_cancel(kBackendLane, kId));
}
BENCHMARK(encode_cancel);

void encode_operation(benchmark::State& state) {
  const auto message = operation();
  for (auto _ : state) benchmark::DoNotOptimize(encode(message));
}
BENCHMARK(encode_operation);

void encode_registered(benchmark::State& state) {
  Registered message;
  message.incarnation = 77;
  message.broker_version = "0.1.0";
  for (auto _ : state) benchmark::DoNotOptimize(encode(kId, message));
}
BENCHMARK(encode_registered);

void encode_outcome_event(benchmark::State& state) {
  Event event;
  event.kind = Event::Kind::kOutcome;
  event.broadcast_id = kId;
  event.key = registration().key;
  event.backend_outcome.emplace().key = *event.key;
  for (auto _ : state) benchmark::DoNotOptimize(encode(kId, event));
}
BENCHMARK(encode_outcome_event);

void encode_report_of_1000(benchmark::State& state) {
  BroadcastReport report(BroadcastOperation::release_handles("/var/cache/x"));
  for (int i = 0; i < 1000; ++i) {
    report.result.acks.push_back({registration().key});
    auto& backend = report.backends.emplace_back();
    backend.key = registration().key;
    backend.incarnation = 100'000;
    backend.pid = 4321;
    backend.uid = 1000;
    backend.outcome = OutcomeKind::kAck;
    backend.ack_timeout = std::chrono::seconds(5);
    backend.latency = std::chrono::microseconds(1234);
  }
  const ControlResponse response = std::move(report);
  for (auto _ : state) benchmark::DoNotOptimize(encode(kId, response));
}
BENCHMARK(encode_report_of_1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace muster::wire
