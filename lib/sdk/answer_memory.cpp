#include "sdk/answer_memory.h"

#include <utility>

namespace muster {

AnswerMemory::AnswerMemory(std::size_t capacity) : capacity_(capacity) {}

void AnswerMemory::remember(BroadcastId id, Answer answer, ConnectionSerial sent_on) {
  by_use_.push_back({id, std::move(answer), sent_on});
  try {
    entries_.emplace(id, std::prev(by_use_.end()));
  } catch (...) {
    by_use_.pop_back();
    throw;
  }
  if (sent_on == 0) ++unsent_;
  if (entries_.size() <= capacity_) return;
  const Entry& oldest = by_use_.front();
  if (oldest.sent_on == 0) --unsent_;
  entries_.erase(oldest.id);
  by_use_.pop_front();
}

const Answer* AnswerMemory::redelivered(BroadcastId id, ConnectionSerial connection) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return nullptr;
  by_use_.splice(by_use_.end(), by_use_, found->second);
  Entry& entry = *found->second;
  if (entry.sent_on == connection) return nullptr;
  if (entry.sent_on == 0) --unsent_;
  entry.sent_on = connection;
  return &entry.answer;
}

std::optional<AnswerMemory::Unsent> AnswerMemory::next_unsent(ConnectionSerial connection) {
  if (unsent_ == 0) return std::nullopt;
  for (Entry& entry : by_use_) {
    if (entry.sent_on != 0) continue;
    --unsent_;
    entry.sent_on = connection;
    return Unsent{entry.id, entry.answer};
  }
  return std::nullopt;
}

void AnswerMemory::forget_all() noexcept {
  entries_.clear();
  by_use_.clear();
  unsent_ = 0;
}

}  // namespace muster
