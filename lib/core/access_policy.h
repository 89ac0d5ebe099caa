// Access control: lists of rules about the credentials of a peer. Pure values and decisions.
//
// Rules are read in order, the first that matches decides, and what none matches is denied. Each
// rule knows where it stands, so that a refused peer can be told which one it was.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "muster/access.h"
#include "muster/backend_key.h"
#include "muster/control_error.h"
#include "muster/selector.h"

namespace muster::core {

// The subject of a decision: a user and its groups. A view: valid as long as what it was made from.
struct Subject {
  uid_t uid = 0;
  gid_t gid = 0;
  std::span<const gid_t> groups;  // supplementary
};

enum class Effect : std::uint8_t { kAllow, kDeny };

// The users of a rule: any of these, or a member of any of these groups.
struct Principals {
  bool everybody = false;
  std::vector<uid_t> uids;
  std::vector<gid_t> gids;
  std::map<gid_t, std::string> group_names = {};  // of those in `gids` that the configuration names

  [[nodiscard]] bool include(const Subject& subject) const;
};

// Where a rule stands.
struct RuleOrigin {
  std::string list;        // "policy.register"
  std::string file;        // empty: built in
  std::uint32_t line = 0;  // from 1; 0: built in
  std::string remark;      // of one that is built in: what it is

  // "[[policy.register]] at FILE:LINE", "the built-in rule (root and the broker's own user)"
  [[nodiscard]] std::string to_string() const;
};

struct AccessRule {
  RuleOrigin origin;
  Effect effect = Effect::kAllow;
  Principals who;
};

enum class Lane : std::uint8_t { kBackend, kControl };
[[nodiscard]] std::string_view socket_name(Lane lane) noexcept;  // "backend.sock"

// Who may connect to a socket.
struct ConnectRule : AccessRule {
  Lane lane = Lane::kBackend;
};

// Who may register as what. Both selections must match; an empty one matches every key.
struct RegisterRule : AccessRule {
  Selection services;
  Selection instances;
};

// An action, with the path of a release as normalize_path_prefix() leaves it.
struct ControlAct {
  ControlAction action = ControlAction::kLook;
  std::string_view path;

  [[nodiscard]] std::string to_string() const;  // "release /var/cache", "look"
};

struct ControlRule : AccessRule {
  std::vector<ControlAction> actions;
  // Below which paths a release is meant; empty: all. A rule that allows matches what is below one
  // of them. A rule that denies also matches what is above: who must not touch /srv/db must not
  // release /srv either.
  std::vector<std::string> release_below;
};

struct Verdict {
  bool allowed = false;
  const RuleOrigin* rule = nullptr;  // the one that decided; null: none matched

  // "allowed by ...", "denied: no rule allows it"
  [[nodiscard]] std::string to_string() const;
};

struct AccessPolicy {
  std::vector<ConnectRule> connect;
  std::vector<RegisterRule> registration;
  std::vector<ControlRule> control;

  // Whether any rule is about groups. If not, the groups of a peer need not be looked up.
  [[nodiscard]] bool mentions_groups() const;
  // The groups of `groups` that some rule mentions: no other has an effect. A user may be in
  // 65,536.
  [[nodiscard]] std::vector<gid_t> those_mentioned(std::vector<gid_t> groups) const;

  [[nodiscard]] Verdict may_connect(const Subject& who, Lane lane) const;
  [[nodiscard]] Verdict may_register(const Subject& who, const BackendKey& key) const;
  // Whether there may be a key that it may register.
  [[nodiscard]] bool may_register_something(const Subject& who) const;
  // Whether a process of that user, whatever its groups are, might be allowed to register a key
  // that the selection selects. True also where that cannot be told, or takes too long to find out.
  [[nodiscard]] bool might_register(uid_t uid, const Selection& selected) const;
  [[nodiscard]] Verdict may_control(const Subject& who, const ControlAct& act) const;
  // The name of a group whose members may do what `who` may not; empty when no rule names one.
  [[nodiscard]] std::string group_that_may_connect(const Subject& who, Lane lane) const;
  [[nodiscard]] std::string group_that_may_register(const Subject& who,
                                                    const BackendKey& key) const;
};
using AccessPolicyPtr = std::shared_ptr<const AccessPolicy>;

// Explains what a policy allows a user: step by step, with the rule that decides each. Pure.

// kInvalid for a service, instance or path that could never be asked for. A null policy allows
// everything.
[[nodiscard]] std::variant<PolicyExplanation, ControlError> explain(const AccessPolicyPtr& policy,
                                                                    const PolicyQuestion& question);

}  // namespace muster::core
