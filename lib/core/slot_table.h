// Things in numbered slots that are used again, each use told apart by a generation.
//
// Id is a struct {uint32 slot; uint32 generation} with generation 0 meaning "none". One thread.
// In a StableVector references stay good until erase(): the table grows without moving what is in
// it. With std::vector for `Storage` they are good until the next insert(), and looked up faster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/stable_vector.h"

namespace muster::core {

template <class Id, class T, template <class...> class Storage = StableVector>
class SlotTable {
 public:
  Id insert(T value) {
    if (free_.empty()) {
      // So that erase() never allocates, and nothing is lost when this does not get what it asks
      // for.
      if (free_.capacity() <= slots_.size()) free_.reserve(2 * slots_.size() + 1);
      slots_.emplace_back();
      free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    Slot& place = slots_[slot];
    place.value = std::move(value);
    place.used = true;
    if (++place.generation == 0) place.generation = 1;
    return {slot, place.generation};
  }

  // Null when the id is not in use (any more).
  [[nodiscard]] T* find(Id id) noexcept {
    if (id.slot >= slots_.size()) return nullptr;
    Slot& place = slots_[id.slot];
    return place.used && place.generation == id.generation ? &place.value : nullptr;
  }

  [[nodiscard]] const T* find(Id id) const noexcept {
    return const_cast<SlotTable*>(this)->find(id);
  }

  void erase(Id id) noexcept {
    if (find(id) == nullptr) return;
    Slot& place = slots_[id.slot];
    place.used = false;
    place.value = T{};
    free_.push_back(id.slot);
  }

  // Calls visit(Id, T&) for each. REQUIRES: visit inserts nothing; it may erase.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      Slot& place = slots_[slot];
      if (place.used) visit(Id{slot, place.generation}, place.value);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size() - free_.size(); }

  // --- what the same ids will be given of

  // Calls visit(std::uint32_t generation, const T*) for each slot; null: it is free.
  template <class Visit>
  void for_each_slot(Visit&& visit) const {
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      const Slot& place = slots_[slot];
      visit(place.generation, place.used ? &place.value : nullptr);
    }
  }
  // The free slots; the last is used next.
  [[nodiscard]] const std::vector<std::uint32_t>& free() const noexcept { return free_; }
  // A slot behind all others. REQUIRES: set_free() follows.
  void append_slot(std::uint32_t generation, bool used, T value) {
    Slot& place = slots_.emplace_back();
    place.value = std::move(value);
    place.generation = generation;
    place.used = used;
  }
  void set_free(const std::vector<std::uint32_t>& free) {
    free_.reserve(2 * slots_.size() + 1);
    free_ = free;
  }

 private:
  struct Slot {
    T value{};
    std::uint32_t generation = 0;
    bool used = false;
  };

  Storage<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace muster::core
