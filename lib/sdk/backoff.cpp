#include "sdk/backoff.h"

#include <algorithm>

namespace muster {

using std::chrono::milliseconds;

Backoff::Backoff(milliseconds first, milliseconds longest, std::uint64_t seed)
    : first_(first), longest_(longest), whole_(first), random_(seed) {}

milliseconds Backoff::next(milliseconds at_least) {
  const milliseconds low = std::max((whole_ + milliseconds(1)) / 2, at_least);
  const milliseconds high = std::max(whole_, at_least + at_least / 2);
  whole_ = whole_ > longest_ / 2 ? longest_ : whole_ * 2;
  std::uniform_int_distribution<milliseconds::rep> wait(low.count(), high.count());
  return milliseconds(wait(random_));
}

}  // namespace muster
