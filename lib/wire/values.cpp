#include "wire/values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "muster/text.h"

#include "model/characters.h"

namespace muster::wire {
namespace {

constexpr EnumTable<BroadcastFailureReason, v1::Failure::Reason, 3> kFailureReasons{{
    {BroadcastFailureReason::kUnsupportedOperation, v1::Failure::UNSUPPORTED_OPERATION},
    {BroadcastFailureReason::kRejected, v1::Failure::REJECTED},
    {BroadcastFailureReason::kBackendError, v1::Failure::BACKEND_ERROR},
}};

// 285 years: beyond it a double no longer tells microseconds apart.
constexpr std::int64_t kMaxMicroseconds = std::int64_t{1} << 53;

}  // namespace

std::string to_utf8(std::string_view text, std::size_t max_bytes) {
  return is_utf8(text, max_bytes) ? std::string(text) : utf8::sanitize(text, max_bytes);
}

bool is_utf8(std::string_view text, std::size_t max_bytes) noexcept {
  return text.size() <= max_bytes && utf8::is_valid(text);
}

std::string over_limit(std::string_view what, std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return {};
  return std::string(what) + " has " + std::to_string(text.size()) + " bytes; the most is " +
         std::to_string(max_bytes);
}

std::string not_known(std::string_view what, int number) {
  return std::string(what) + " is " + std::to_string(number) +
         ", which is not one of those that are known";
}

std::uint32_t to_ms(std::chrono::milliseconds duration) noexcept {
  constexpr std::int64_t kMax = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(duration.count(), 0, kMax));
}

double to_fractional_ms(std::chrono::microseconds duration) noexcept {
  const auto count = std::clamp<std::int64_t>(duration.count(), 0, kMaxMicroseconds);
  return static_cast<double>(count) / 1000.0;
}

std::string from_fractional_ms(std::string_view what, double ms, std::chrono::microseconds& out) {
  constexpr double kMax = static_cast<double>(kMaxMicroseconds) / 1000.0;
  const bool good = ms >= 0.0 && ms <= kMax;  // false for a NaN, too
  if (!good) return std::string(what) + " is " + std::to_string(ms) + ", which is no duration";
  out = std::chrono::microseconds(std::llround(ms * 1000.0));
  return {};
}

void to_proto(const BackendKey& key, v1::BackendKey& out) {
  out.set_instance(to_utf8(key.instance.to_string()));
  out.set_service_name(to_utf8(key.service_name));
  out.set_service_version(to_utf8(key.service_version));
  out.set_replica(to_utf8(key.replica));
}

std::string from_proto(const v1::BackendKey& in, BackendKey& key) {
  auto instance = Instance::parse(in.instance());
  if (!instance) {
    return "the instance " + quote_start(in.instance()) +
           R"( is none of "shared", "private:<service>" and "explicit:<name>")";
  }
  key.instance = std::move(*instance);
  key.service_name = in.service_name();
  key.service_version = in.service_version();
  key.replica = in.replica();
  return {};
}

v1::Failure::Reason to_proto(BroadcastFailureReason reason) noexcept {
  return proto_of(kFailureReasons, reason);
}

std::string from_proto(v1::Failure::Reason in, BroadcastFailureReason& reason) {
  return value_of(kFailureReasons, "a failure's reason", in, reason);
}

std::string from_proto(v1::Failure::Reason in, std::optional<BroadcastFailureReason>& reason) {
  reason.reset();
  if (in == v1::Failure::UNSPECIFIED) return {};
  return from_proto(in, reason.emplace());
}

Operator operator_of(const v1::Operator& in) { return {in.uid(), in.pid(), in.command()}; }

void to_proto(const Operator& who, v1::Operator& out) {
  out.set_uid(who.uid);
  out.set_pid(who.pid);
  out.set_command(to_utf8(who.command));
}

}  // namespace muster::wire
