#include "musterd/service/memory_trim.h"

#include <algorithm>
#include <chrono>
#include <malloc.h>
#include <utility>

namespace muster::daemon {
namespace {

constexpr std::chrono::milliseconds kQuiet{500};
// Less is needed again soon, and costs page faults then.
constexpr std::size_t kWorthIt = 128 * 1024;
constexpr std::size_t kShare = 16;  // of what is in use

void give_back() {
#ifdef __GLIBC__
  const auto heap = ::mallinfo2();
  if (heap.fordblks > std::max(kWorthIt, heap.uordblks / kShare)) ::malloc_trim(0);
#endif
}

}  // namespace

void MemoryTrim::arm() {
  armed_ = true;
  busy_ = false;
  timer_.expires_after(kQuiet);
  timer_.async_wait([this](std::error_code error) {
    if (error || stopped_) return;
    armed_ = false;
    if (std::exchange(busy_, false)) return arm();
    if (elsewhere_) {
      elsewhere_(give_back);
    } else {
      give_back();
    }
  });
}

void MemoryTrim::stop() {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace muster::daemon
