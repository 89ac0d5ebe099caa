// The names under which operator and clients meet on a bus.
#pragma once

#include <string_view>

namespace muster::bench {

inline constexpr std::string_view kOperatorName = "muster.bench.Operator";
inline constexpr std::string_view kDbusPath = "/";
inline constexpr std::string_view kDbusInterface = "muster.bench";
inline constexpr std::string_view kOperationMember = "Operation";
inline constexpr std::string_view kAnswerMember = "Answer";

}  // namespace muster::bench
