// Which fields of a message are messages: what its schema says, as far as counting fields needs it.
//
// tests/unit/wire_shape_test.cpp holds it against the schema.
#pragma once

#include <span>

namespace muster::wire {

struct Shape {
  struct Field {
    int number = 0;
    const Shape* inside = nullptr;
  };
  std::span<const Field> messages;

  // Null for a field that is no message, or not known.
  [[nodiscard]] constexpr const Shape* inside(int number) const noexcept {
    for (const Field& field : messages) {
      if (field.number == number) return field.inside;
    }
    return nullptr;
  }
};

namespace shapes {

inline constexpr Shape kPlain;  // numbers and texts only

inline constexpr Shape::Field kSelectorFields[]{{1, &kPlain}};
inline constexpr Shape kSelector{kSelectorFields};

inline constexpr Shape::Field kStartBroadcastFields[]{{1, &kPlain}, {2, &kPlain}, {4, &kSelector}};
inline constexpr Shape kStartBroadcast{kStartBroadcastFields};

inline constexpr Shape::Field kResumeFields[]{{2, &kSelector}};
inline constexpr Shape kResume{kResumeFields};

inline constexpr Shape::Field kForgetBackendFields[]{{1, &kPlain}};
inline constexpr Shape kForgetBackend{kForgetBackendFields};

inline constexpr Shape::Field kListBackendsFields[]{{1, &kSelector}};
inline constexpr Shape kListBackends{kListBackendsFields};

inline constexpr Shape::Field kExplainPolicyFields[]{{4, &kPlain}, {5, &kPlain}};
inline constexpr Shape kExplainPolicy{kExplainPolicyFields};

inline constexpr Shape::Field kControlRequestFields[]{
    {1, &kPlain},        {2, &kStartBroadcast}, {3, &kPlain}, {4, &kPlain},
    {5, &kListBackends}, {6, &kPlain},          {7, &kPlain}, {10, &kExplainPolicy},
    {11, &kResume},      {12, &kForgetBackend},
};
inline constexpr Shape kControlRequest{kControlRequestFields};

}  // namespace shapes

}  // namespace muster::wire
