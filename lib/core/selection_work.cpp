#include "core/selection_work.h"

namespace muster::core {

bool SelectionWork::matches(const Entry& entry) const {
  const auto& registration = entry.enrolment->registration;
  return selection_.matches(registration.key, registration.labels);
}

bool SelectionWork::advance(const Registry& registry, const std::function<bool()>& turn_is_over) {
  if (selection_.terms() == 0) return false;
  std::size_t seen = 0;
  while (known_.size() < registry.slots()) {
    if (++seen % kBetweenLooks == 0 && turn_is_over()) return true;
    const Entry& entry = registry.at(static_cast<EntryId>(known_.size()));
    Known known;
    if (entry.enrolment != nullptr) {
      known.incarnation = entry.enrolment->incarnation;
      known.selected = matches(entry);
    }
    known_.push_back(known);
  }
  return false;
}

bool SelectionWork::selects(EntryId id, const Entry& entry) const {
  if (id < known_.size() && known_[id].incarnation == entry.enrolment->incarnation) {
    return known_[id].selected;
  }
  return matches(entry);
}

}  // namespace muster::core
