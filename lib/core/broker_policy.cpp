// Policy decisions about a peer that connects or registers, and the sentence that it gets.
#include <utility>
#include <vector>

#include "muster/text.h"

#include "core/broker_state.h"

namespace muster::core {
namespace {

// For the peer: what it was refused, which group would help, and how to find out more. The rule
// itself goes to the log.
Refusal denial(const Peer& peer, const std::string& what, const std::string& group,
               const std::string& question) {
  const auto uid = std::to_string(peer.uid);
  std::string text = "policy does not let uid " + uid + " " + what;
  if (!group.empty()) {
    text += "; members of the group " + escape_bytes(group) + " may: `usermod -aG " +
            escape_bytes(group) + " USER`, then restart the daemon";
  }
  text += "; `musterctl explain-policy --uid " + uid + question + "` says which rule decides";
  return {RefusalCode::kDenied, std::move(text), std::chrono::seconds(10)};
}

}  // namespace

std::vector<gid_t> Broker::State::groups_that_matter(ConnectionId connection) {
  if (!config.policy->mentions_groups()) return {};
  return config.policy->those_mentioned(shell.groups_of(connection));
}

void Broker::set_policy(AccessPolicyPtr policy) noexcept {
  state_->config.policy = std::move(policy);
}

bool Broker::State::admits(ConnectionId connection, Now now) {
  if (!config.policy) return true;
  const auto& peer = find(connection)->peer;
  const auto groups = groups_that_matter(connection);
  const Subject subject{peer.uid, peer.gid, groups};
  const auto verdict = config.policy->may_connect(subject, Lane::kBackend);
  if (verdict.allowed) return true;
  const auto group = config.policy->group_that_may_connect(subject, Lane::kBackend);
  refuse(connection, 0, denial(peer, "connect to backend.sock", group, ""), now,
         verdict.to_string());
  return false;
}

bool Broker::State::may_register_something(ConnectionId connection) {
  if (!config.policy) return true;
  const auto& peer = find(connection)->peer;
  const auto groups = groups_that_matter(connection);
  return config.policy->may_register_something({peer.uid, peer.gid, groups});
}

bool Broker::State::admits(ConnectionId connection, std::uint64_t request_id, const BackendKey& key,
                           Now now) {
  if (!config.policy) return true;
  const auto& peer = find(connection)->peer;
  const auto groups = groups_that_matter(connection);
  const Subject subject{peer.uid, peer.gid, groups};
  const auto verdict = config.policy->may_register(subject, key);
  if (verdict.allowed) return true;
  std::string question = " --service " + key.service_name;
  if (key.instance != Instance::shared()) question += " --instance " + key.instance.to_string();
  const auto group = config.policy->group_that_may_register(subject, key);
  refuse(connection, request_id, denial(peer, "register " + key.to_string(), group, question), now,
         verdict.to_string());
  return false;
}

}  // namespace muster::core
