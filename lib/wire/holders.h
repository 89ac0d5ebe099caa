// Scans for holders as Protobuf messages and back, and the two frames between musterd and
// muster-scan.
//
// to_proto() and from_proto(): see values.h. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "muster/holders.h"

namespace muster::v1 {
class Holder;
class HolderScan;
}  // namespace muster::v1

namespace muster::wire {

// 1,000 rows, each with a path of 4 KiB that may be escaped fourfold, and the texts beside it.
inline constexpr std::size_t kMaxScanBody = 12 * 1024 * 1024;
inline constexpr std::size_t kMaxScanQuestion = 8 * 1024;  // a path of 4 KiB, and a few numbers

struct ScanRequest {
  std::string path;
  std::uint64_t mount_namespace = 0;  // inode; 0: whichever
  std::uint32_t max_holders = 1'000;
  std::uint32_t max_unseen = 100;
  std::uint64_t max_lease_files = 10'000;
  std::uint32_t max_lease_ms = 2'000;

  friend bool operator==(const ScanRequest&, const ScanRequest&) = default;
};

void to_proto(const Holder& holder, v1::Holder& out);
[[nodiscard]] std::string from_proto(const v1::Holder& in, Holder& holder);
void to_proto(const HolderScan& scan, v1::HolderScan& out);
[[nodiscard]] std::string from_proto(const v1::HolderScan& in, HolderScan& scan);

// Bodies of frames, without their header. decode: empty when it went well, else the sentence.
[[nodiscard]] std::string encode_scan(const ScanRequest& request);
[[nodiscard]] std::string decode_scan(std::string_view body, ScanRequest& out);
[[nodiscard]] std::string encode_scan(const HolderScan& scan);
[[nodiscard]] std::string decode_scan(std::string_view body, HolderScan& out);

}  // namespace muster::wire
