// What a broker that runs has as its policy, in its state directory: for `musterd --check-reload`,
// which has to know what a reload would take away.
//
//   muster policy 2
//   pid 4711         the broker
//   register 2       rules of its configuration file, of each kind
//   control 1
//   connect 0
//
// Blocking; any thread, one at a time for one directory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace muster::daemon {

inline constexpr std::string_view kPolicyFileName = "policy";

struct RuleCounts {
  std::size_t registration = 0;
  std::size_t control = 0;
  std::size_t connect = 0;

  friend bool operator==(const RuleCounts&, const RuleCounts&) = default;
};

struct PolicyRecord {
  pid_t pid = 0;
  RuleCounts rules;

  friend bool operator==(const PolicyRecord&, const PolicyRecord&) = default;
};

[[nodiscard]] std::string format_policy_record(const PolicyRecord& record);
// Nothing when the text is anything else than what format_policy_record() makes.
[[nodiscard]] std::optional<PolicyRecord> parse_policy_record(std::string_view text);

// Empty when it went well, else why not; a sentence's end.
[[nodiscard]] std::string write_policy_record(const std::filesystem::path& directory,
                                              const PolicyRecord& record);

struct RunningPolicy {
  PolicyRecord record;  // good when problem is empty
  std::string problem;  // no broker runs with that directory, or it cannot be told; a sentence
};
[[nodiscard]] RunningPolicy policy_of_running_broker(const std::filesystem::path& directory);

}  // namespace muster::daemon
