// What the memory of a report is charged as, in bytes. Pure.
//
// By what there is, never less than what the allocator gives for it: two reports with the same
// content cost the same, whatever became of their vectors on the way.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/broadcast.h"
#include "core/registry.h"

namespace muster::core {

// An allocation: its header, and what it is rounded up to.
inline constexpr std::size_t kBlockBytes = 32;

// Vectors have a quarter more room than they use; see Broadcast::give_back_room().
inline constexpr std::size_t kTargetBytes = sizeof(Target) + sizeof(Target) / 4;
inline constexpr std::size_t kSkippedBytes = sizeof(SkippedTarget) + sizeof(SkippedTarget) / 4;
inline constexpr std::size_t kTextBytes = sizeof(TargetText) + sizeof(TargetText) / 4;
inline constexpr std::size_t kLateBytes = 2 * sizeof(LateRecord);  // they grow one by one
// An empty report.
inline constexpr std::size_t kReportBytes = 1024;

// What a string of that length has outside of itself.
[[nodiscard]] constexpr std::size_t text_bytes(std::size_t length) noexcept {
  return length <= 15 ? 0 : length + kBlockBytes;
}
[[nodiscard]] inline std::size_t text_bytes(std::string_view text) noexcept {
  return text_bytes(text.size());
}

[[nodiscard]] std::size_t bytes_of(const Enrolment& enrolment) noexcept;
[[nodiscard]] std::size_t bytes_of(const BroadcastRequest& request) noexcept;
[[nodiscard]] std::size_t bytes_of(const LateRecord& late) noexcept;
[[nodiscard]] std::size_t bytes_of(const Verification& verification) noexcept;
[[nodiscard]] std::size_t bytes_of(const HoldState& hold) noexcept;
// All of it, but for the enrolments that other reports are charged for.
[[nodiscard]] std::size_t bytes_of(const Broadcast& broadcast) noexcept;

}  // namespace muster::core
