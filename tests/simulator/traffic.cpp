#include "simulator/traffic.h"

#include <algorithm>
#include <array>

namespace muster::simulator {
namespace {

struct Counter {
  std::string_view name;
  std::uint64_t Counters::*count;
};

constexpr std::array kCounters = {
    Counter{"connections", &Counters::connections_accepted},
    Counter{"registrations", &Counters::registrations},
    Counter{"refusals", &Counters::refusals},
    Counter{"protocol errors", &Counters::protocol_errors},
    Counter{"broadcasts started", &Counters::broadcasts_started},
    Counter{"finished", &Counters::broadcasts_finished},
    Counter{"operations", &Counters::operations_sent},
    Counter{"redeliveries", &Counters::redeliveries},
    Counter{"acks", &Counters::acks},
    Counter{"timeouts", &Counters::timeouts},
    Counter{"failures", &Counters::failures},
    Counter{"skipped dead", &Counters::skipped_dead},
    Counter{"late answers", &Counters::late_answers},
    Counter{"duplicates", &Counters::duplicate_answers},
    Counter{"unmatched", &Counters::unmatched_answers},
    Counter{"slow readers", &Counters::slow_readers},
    Counter{"over quota", &Counters::over_quota},
};

}  // namespace

std::string_view to_string(Sent::Kind kind) {
  switch (kind) {
    case Sent::Kind::kOperation:
      return "operation";
    case Sent::Kind::kCancel:
      return "cancel";
    case Sent::Kind::kRegistered:
      return "registered";
    case Sent::Kind::kDeregistered:
      return "deregistered";
    case Sent::Kind::kRefused:
      return "refused";
    case Sent::Kind::kResumed:
      return "resumed";
    case Sent::Kind::kHoldEnded:
      return "hold ended";
    case Sent::Kind::kHangUp:
      return "hang up";
    case Sent::Kind::kRelease:
      return "release";
  }
  return "?";
}

std::uint64_t Told::words(std::string_view text) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return hash;
}

void sort(std::vector<Sent>& sent) {
  // By insertion: short lists, equal ones keep their order, nothing is allocated.
  const auto before = [](const Sent& left, const Sent& right) {
    return left.connection < right.connection;
  };
  for (auto at = sent.begin(); at != sent.end(); ++at) {
    std::rotate(std::upper_bound(sent.begin(), at, *at, before), at, at + 1);
  }
}

void sort(std::vector<Told>& told) {
  if (told.size() < 2) return;
  std::sort(told.begin(), told.end());
}

std::string to_string(const std::vector<Sent>& sent) {
  std::string text;
  for (const auto& one : sent) {
    text += "\n    connection " + std::to_string(one.connection) + ": ";
    text.append(to_string(one.kind)).append(1, ' ').append(std::to_string(one.a));
    if (one.b != 0) text += ' ' + std::to_string(one.b);
  }
  return text.empty() ? " nothing" : text;
}

std::string to_string(const std::vector<Told>& told) {
  std::string text;
  for (const auto& one : told) {
    text.append("\n    ").append(to_string(one.kind));
    text += " broadcast " + std::to_string(one.broadcast) + " key " + std::to_string(one.key) +
            " pid " + std::to_string(one.pid) + " uid " + std::to_string(one.uid) + " more " +
            std::to_string(one.more);
  }
  return text.empty() ? " nothing" : text;
}

void add(Counters& sum, const Counters& more) {
  for (const auto& [name, count] : kCounters) sum.*count += more.*count;
}

std::string to_string(const Counters& counters) {
  std::string text;
  for (const auto& [name, count] : kCounters) {
    if (!text.empty()) text += ", ";
    text.append(name).append(1, ' ').append(std::to_string(counters.*count));
  }
  return text;
}

}  // namespace muster::simulator
