#include "musterd/config/name_service.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace muster::daemon {

// A thread for each lookup: one that hangs is left alone, and shares what it needs.
struct NameService::State : std::enable_shared_from_this<NameService::State> {
  struct Asked {
    Lookup found;
    bool over = false;
  };

  Lookup ask(const std::function<Lookup(const std::string&)>& lookup, const std::string& name) {
    std::unique_lock lock(mutex);
    if (hangs) return {std::nullopt, "the name service does not answer"};
    const auto asked = std::make_shared<Asked>();
    try {
      std::thread([self = shared_from_this(), asked, lookup, name] {
        Lookup found{std::nullopt, "no memory"};
        try {
          found = lookup(name);
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it stays "no memory"
        }
        const std::lock_guard over(self->mutex);
        asked->found = std::move(found);
        asked->over = true;
        self->hangs = false;
        self->wake.notify_all();
      }).detach();
    } catch (const std::exception& error) {
      return {std::nullopt, error.what()};
    }
    hangs = !wake.wait_for(lock, patience, [&] { return asked->over; });
    if (hangs) return {std::nullopt, "the name service does not answer"};
    return asked->found;
  }

  std::chrono::milliseconds patience{};
  NameLookup names;
  std::mutex mutex;
  std::condition_variable wake;
  bool hangs = false;  // a lookup, beyond the patience
};

NameService::NameService(std::chrono::milliseconds patience, NameLookup names)
    : state_(std::make_shared<State>()) {
  state_->patience = patience;
  state_->names = std::move(names);
}

NameService::~NameService() = default;

NameLookup NameService::bounded() {
  return {
      [state = state_](const std::string& name) { return state->ask(state->names.user, name); },
      [state = state_](const std::string& name) { return state->ask(state->names.group, name); }};
}

}  // namespace muster::daemon
