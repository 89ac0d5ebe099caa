// Whether this build is under AddressSanitizer or ThreadSanitizer, which have an allocator of their
// own and make everything slower. MUSTER_SANITIZED is 0 or 1.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define MUSTER_THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MUSTER_THREAD_SANITIZED 1
#endif
#endif
#ifndef MUSTER_THREAD_SANITIZED
#define MUSTER_THREAD_SANITIZED 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MUSTER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MUSTER_SANITIZED 1
#endif
#endif
#ifndef MUSTER_SANITIZED
#define MUSTER_SANITIZED 0
#endif

namespace muster::test {

inline constexpr bool kSanitized = MUSTER_SANITIZED != 0;
inline constexpr bool kThreadSanitized = MUSTER_THREAD_SANITIZED != 0;

}  // namespace muster::test
