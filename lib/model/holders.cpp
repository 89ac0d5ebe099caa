#include "muster/holders.h"

#include <array>

namespace muster {

std::string_view to_string(HeldBy kind) {
  constexpr std::array<std::string_view, kHeldByKinds> kTexts{
      "descriptor",     "path descriptor", "mapping",      "executable", "working directory",
      "root directory", "io_uring file",   "bound socket", "in flight",  "loop device",
      "swap file",      "overlay layer",   "mount",        "nfsd export"};
  return kTexts[static_cast<std::size_t>(kind)];
}

std::string_view to_string(HolderVerdict verdict) {
  switch (verdict) {
    case HolderVerdict::kClear:
      return "clear";
    case HolderVerdict::kHeld:
      return "held";
    case HolderVerdict::kUnknown:
      break;
  }
  return "unknown";
}

std::uint64_t Holder::count() const {
  std::uint64_t all = 0;
  for (const Held& one : held) all += one.count;
  return all;
}

bool HolderScan::held_by_unknown() const {
  if (leases.busy == 0) return false;
  for (const Holder& one : holders) {
    for (const Held& way : one.held) {
      switch (way.kind) {
        case HeldBy::kPathDescriptor:
        case HeldBy::kWorkingDirectory:
        case HeldBy::kRootDirectory:
        case HeldBy::kBoundSocket:
        case HeldBy::kMount:
        case HeldBy::kNfsExport:
          break;  // no lease fails for these
        case HeldBy::kDescriptor:
        case HeldBy::kMapping:
        case HeldBy::kExecutable:
        case HeldBy::kRingFile:
        case HeldBy::kInFlight:
        case HeldBy::kLoopDevice:
        case HeldBy::kSwapFile:
        case HeldBy::kOverlayLayer:
          return false;
      }
    }
  }
  return true;
}

}  // namespace muster
