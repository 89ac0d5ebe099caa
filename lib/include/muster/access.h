// A question to a broker: what does its policy allow a user? Pure values.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "muster/backend_key.h"
#include "muster/operation.h"

namespace muster {

// May the user register that service, do that on the control socket, or (neither) connect at all?
struct PolicyQuestion {
  static constexpr std::size_t kMaxGroups = 4096;

  struct Registration {
    std::string service;
    Instance instance;

    friend bool operator==(const Registration&, const Registration&) = default;
  };
  struct Control {
    ControlAction action = ControlAction::kLook;
    std::string path;  // of a release

    friend bool operator==(const Control&, const Control&) = default;
  };

  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::variant<std::monostate, Registration, Control> about;

  friend bool operator==(const PolicyQuestion&, const PolicyQuestion&) = default;
};

// One decision and the rule that made it.
struct PolicyStep {
  std::string question;  // "connect to backend.sock", "register zccache", "release /var/cache"
  bool allowed = false;
  std::string rule;        // "[[policy.register]] at FILE:LINE", the built-in one, or that none is
  std::string file;        // empty: built in, or none
  std::uint32_t line = 0;  // from 1; 0: built in, or none

  friend bool operator==(const PolicyStep&, const PolicyStep&) = default;
};

// All steps must be allowed.
struct PolicyExplanation {
  std::vector<PolicyStep> steps;

  [[nodiscard]] bool allowed() const noexcept {
    for (const PolicyStep& step : steps) {
      if (!step.allowed) return false;
    }
    return true;
  }
  friend bool operator==(const PolicyExplanation&, const PolicyExplanation&) = default;
};

}  // namespace muster
