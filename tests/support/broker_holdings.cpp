#include "support/broker_holdings.h"

#include <utility>

#include "muster/control.h"

namespace muster::test {

void forget_lost(ControlClient& client) {
  for (const BackendInfo& info : client.backends()) {
    if (info.state != BackendState::kLost) continue;
    try {
      client.forget(info.key);
    } catch (const ControlFailure&) {  // NOLINT(bugprone-empty-catch): gone by itself meanwhile
    }
  }
}

// Both looks are taken over a connection of ours: it is in both.
BrokerHoldings::BrokerHoldings(std::filesystem::path socket_dir)
    : socket_dir_(std::move(socket_dir)) {
  ControlClient client(socket_dir_);
  pid_ = client.ping().broker_pid;
  before_ = holdings_of(pid_);
  // The fewest of many looks: at its start a worker has files open for a moment, which would hide
  // as many that are never closed.
  constexpr int kLooks = 50;
  for (int i = 0; i < kLooks; ++i) {
    client.ping();
    auto now = holdings_of(pid_);
    if (now.descriptors.size() < before_.descriptors.size()) before_ = std::move(now);
  }
}

std::string BrokerHoldings::leaked(std::chrono::milliseconds patience) const {
  const auto until = std::chrono::steady_clock::now() + patience;
  try {
    ControlClient client(socket_dir_);
    for (;;) {
      client.ping();
      forget_lost(client);
      const auto now = holdings_of(pid_);
      if (now.descriptors.size() <= before_.descriptors.size() && now.children.empty()) return {};
      if (std::chrono::steady_clock::now() >= until) return test::leaked(before_, now);
    }
  } catch (const ControlFailure& failure) {
    const bool has_ended = holdings_of(pid_).descriptors.empty();
    return has_ended ? std::string() : failure.what();
  }
}

}  // namespace muster::test
