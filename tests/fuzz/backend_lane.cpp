// The backend lane against live sessions: any sequence of connections, bytes, deadlines, ends,
// operators' wishes, scans and holds.
//
// Input: how the broker is set up, then steps, each a byte that says which and what it needs.
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fuzz/fuzzed_broker.h"
#include "fuzz/input.h"
#include "fuzz/rules.h"
#include "fuzz/spoil.h"

namespace muster::fuzz {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxSteps = 300;
constexpr std::array<const char*, 6> kServices{"zccache", "soldr", "a", "B", "", "a-b"};
constexpr std::array<const char*, 6> kPaths{"/cache", "/", "", "rel", "/a/../b//", "/x\x01\xff"};
constexpr std::array kTimes{milliseconds(0), milliseconds(1), milliseconds(500),
                            milliseconds(5'000), milliseconds(3'600'000)};

core::Config config_of(Input& input) {
  core::Config config;
  const auto choice = input.byte();
  if ((choice & 1U) != 0) config.max_broadcasts = 2;
  if ((choice & 2U) != 0) config.max_reports = 1;
  if ((choice & 4U) != 0) config.max_dead = 1;
  if ((choice & 8U) != 0) config.reconnect_grace = milliseconds(0);
  if ((choice & 16U) != 0) config.max_ack_timeout = milliseconds(1'000);
  if ((choice & 32U) != 0) {
    config.max_report_targets = 2;
    config.max_report_bytes = 6'000;
  }
  if ((choice & 64U) != 0) {
    config.quotas.each = {4, 3, 2'000, 1};
    config.quotas.each.report_bytes = 3'000;
    config.quotas.each.holds = 2;
    config.quotas.of_uid[1000].registrations = 1;
  }
  if ((choice & 128U) != 0) {
    config.policy = std::make_shared<const core::AccessPolicy>(rules(input));
  }
  config.first_id_ever = 1;
  return config;
}

std::string registration(Input& input) {
  Registration said;
  said.key.service_name = kServices[input.choose(kServices.size())];
  said.key.service_version = "1.0.0";
  const auto more = input.byte();
  if ((more & 1U) != 0) said.ack_timeout = kTimes[input.choose(kTimes.size())];
  if ((more & 2U) != 0) said.idle_timeout = kTimes[input.choose(kTimes.size())];
  if ((more & 4U) != 0) said.labels.emplace("tier", std::string(input.bytes(input.choose(80))));
  if ((more & 8U) != 0) said.key.replica = std::string(input.bytes(input.choose(70)));
  if ((more & 16U) != 0) said.min_protocol = 2;
  if ((more & 32U) != 0) said.key.instance = Instance::private_to("soldr");
  return wire::encode(1, said);
}

std::string answer(Input& input, BroadcastId last) {
  // Mostly of a broadcast that there is.
  const BroadcastId id = last + 2 - input.choose(6);
  switch (input.choose(6)) {
    case 0:
      return wire::encode(id, Failure{static_cast<BroadcastFailureReason>(input.choose(3)),
                                      std::string(input.bytes(input.byte()))});
    case 1:
      return wire::encode(id, Working{kTimes[input.choose(kTimes.size())], input.choose(120),
                                      std::string(input.bytes(input.byte()))});
    case 2:
      return wire::encode(1, Activity{});
    case 3:
      return wire::encode(2, Deregister{});
    default:
      return wire::encode(id, Ack{});
  }
}

BroadcastRequest request(Input& input) {
  BroadcastRequest asked;
  asked.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  const auto more = input.byte();
  if ((more & 1U) != 0) {
    asked.operation = BroadcastOperation::release_handles(kPaths[input.choose(kPaths.size())]);
  }
  if ((more & 2U) != 0) asked.ack_timeout = kTimes[input.choose(kTimes.size())];
  if ((more & 4U) != 0)
    asked.operation_key = std::string(1, static_cast<char>('a' + input.choose(2)));
  if ((more & 8U) != 0) {
    asked.selection.push_back(Selector::parse(std::string(input.bytes(input.choose(40)))).selector);
  }
  // The wire's strings are UTF-8 when they come here.
  if ((more & 16U) != 0) asked.traceparent = std::string(input.byte(), 't');
  if ((more & 32U) != 0) {
    asked.operation = BroadcastOperation::release_handles(std::string(input.text()));
  }
  if ((more & 64U) != 0) {
    asked.verify = true;
    asked.verify_wait = kTimes[input.choose(kTimes.size())];
  }
  if ((more & 128U) != 0) {
    auto& hold = asked.hold.emplace();
    hold.leased = input.choose(2) == 0;
    if (input.choose(2) == 0) hold.ttl = kTimes[input.choose(kTimes.size())];
  } else if (input.choose(8) == 7) {
    asked.operation = BroadcastOperation::preflight_of(asked.operation);
  }
  return asked;
}

HolderScan scan(Input& input) {
  HolderScan made;
  made.verdict = static_cast<HolderVerdict>(input.choose(3));
  made.leases.busy = input.choose(2);
  for (auto left = input.choose(80); left > 0; --left) {
    Holder& holder = made.holders.emplace_back();
    holder.pid = static_cast<pid_t>(left);
    holder.started = made.leases.busy;
    holder.possibly = left % 8 == 7;
  }
  return made;
}

void take_step(FuzzedBroker& broker, Input& input) {
  const auto kind = input.choose(16);
  const auto one = [&] {
    const auto number = input.byte();
    return static_cast<std::uint32_t>(broker.connections() == 0 ? 0
                                                                : number % broker.connections());
  };
  const auto id = [&] { return broker.last_id() + 1 - input.choose(5); };
  switch (kind) {
    case 0:
      return broker.connect(input.byte());
    case 1: {
      const auto to = one();
      return broker.bytes(to, input.text());
    }
    case 2: {
      const auto to = one();
      return broker.bytes(to, framed(input.text()));
    }
    case 3: {
      const auto to = one();
      return broker.bytes(to, registration(input));
    }
    case 4:
    case 5: {
      const auto to = one();
      return broker.bytes(to, answer(input, broker.last_id()));
    }
    case 6: {
      const auto to = one();
      auto frame = input.choose(2) == 0 ? registration(input) : answer(input, broker.last_id());
      return broker.bytes(to, spoiled(std::move(frame), input));
    }
    case 7:
      return broker.close(one());
    case 8:
      return broker.read(one());
    case 9:
      return broker.exit(input.byte());
    case 10:
      return broker.start(request(input));
    case 11:
      return broker.cancel(id());
    case 12:
      (void)broker.next_deadline();
      return;
    case 13:
      return broker.pass(milliseconds(input.word()));
    case 14:
      return broker.look(id(), request(input).selection);
    default:
      switch (input.choose(8)) {
        case 0:
          return broker.shut_down();
        case 1:
          return broker.stale_deadline();
        case 2: {
          const auto of = id();
          return broker.scanned(of, scan(input));
        }
        case 3:
          return broker.scanned(broker.last_id(), {});
        case 4:
          return broker.end_hold(id());
        case 5:
          return broker.hold_left(id());
        case 6: {
          const uid_t uid = input.choose(2) == 0 ? 1000 : 0;
          return broker.keep_hold(id(), uid, input.choose(4) == 0);
        }
        default:
          return broker.watched(input.choose(2) == 0);
      }
  }
}

}  // namespace

void backend_lane(std::string_view bytes) {
  Input input(bytes);
  FuzzedBroker broker(config_of(input));
  for (std::size_t step = 0; !input.empty() && step < kMaxSteps; ++step) take_step(broker, input);
  broker.wind_down();
}

}  // namespace muster::fuzz
