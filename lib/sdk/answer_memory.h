// What was answered to which operation, so that an answer which a lost connection took with it can
// be given again, and an operation that comes again is not handed to its handler again. Pure.
//
// Invariant: no answer is sent twice on one connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <variant>

#include "muster/registration.h"

namespace muster {

using Answer = std::variant<Ack, Failure>;

// Counts up with each connection to a broker; 0 is none.
using ConnectionSerial = std::uint64_t;

class AnswerMemory {
 public:
  // Beyond `capacity` the answer that was used longest ago is forgotten.
  explicit AnswerMemory(std::size_t capacity);

  // REQUIRES: !knows(id). `sent_on` 0: it could not be sent. Throws std::bad_alloc, and then has
  // not changed.
  void remember(BroadcastId id, Answer answer, ConnectionSerial sent_on);
  [[nodiscard]] bool knows(BroadcastId id) const { return entries_.contains(id); }

  // The operation came again on `connection`. Its answer is to be sent when this returns one, and
  // then counts as sent there. Null when it was sent there already, or is not known.
  [[nodiscard]] const Answer* redelivered(BroadcastId id, ConnectionSerial connection);

  struct Unsent {
    BroadcastId id = 0;
    Answer answer;
  };
  // The oldest answer that was never sent, which counts as sent on `connection` from now on;
  // nothing when there is none (left).
  [[nodiscard]] std::optional<Unsent> next_unsent(ConnectionSerial connection);

  // The broker that ids belonged to is gone: they say nothing any more.
  void forget_all() noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    BroadcastId id = 0;
    Answer answer;
    ConnectionSerial sent_on = 0;
  };
  using Entries = std::list<Entry>;  // the one that was used longest ago first

  std::size_t capacity_;
  Entries by_use_;
  std::unordered_map<BroadcastId, Entries::iterator> entries_;
  std::size_t unsent_ = 0;
};

}  // namespace muster
