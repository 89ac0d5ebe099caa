// What a request to the ring was about: the 64 bits that come back with its completion.
//
//   63..32  the connection's generation; 0 for a send
//   31      for a connection: whether it waits to be writable
//   30..0   the connection's slot, or which send of the batch it was
#pragma once

#include <cstdint>

#include "core/types.h"

namespace muster::broker {

struct Tag {
  enum class Kind { kSend, kReceive, kWritable };
  Kind kind = Kind::kSend;
  core::ConnectionId connection;  // of a send: its slot is the number in the batch
};

inline constexpr std::uint64_t kWritableBit = 0x8000'0000U;

constexpr std::uint64_t pack(Tag tag) noexcept {
  const std::uint64_t slot = tag.connection.slot;
  switch (tag.kind) {
    case Tag::Kind::kSend:
      return slot;
    case Tag::Kind::kReceive:
      return std::uint64_t{tag.connection.generation} << 32 | slot;
    case Tag::Kind::kWritable:
      return std::uint64_t{tag.connection.generation} << 32 | kWritableBit | slot;
  }
  return 0;
}

constexpr Tag unpack(std::uint64_t bits) noexcept {
  const auto slot = static_cast<std::uint32_t>(bits & (kWritableBit - 1));
  const auto generation = static_cast<std::uint32_t>(bits >> 32);
  if (generation == 0) return {Tag::Kind::kSend, {slot, 0}};
  const bool writable = (bits & kWritableBit) != 0;
  return {writable ? Tag::Kind::kWritable : Tag::Kind::kReceive, {slot, generation}};
}

}  // namespace muster::broker
