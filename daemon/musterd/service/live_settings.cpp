#include "musterd/service/live_settings.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "musterd/config/effective_policy.h"

namespace muster::daemon {
namespace {

// A name that cannot be looked up is tried again after this.
constexpr std::chrono::seconds kLookUpAgainAfter{2};

}  // namespace

LiveSettings::LiveSettings(const asio::any_io_executor& loop, const Loaded& loaded, Worker& reader,
                           Log& log, Reading reading, TakePolicy take_policy)
    : reader_(reader),
      log_(log),
      reading_(std::move(reading)),
      take_policy_(std::move(take_policy)),
      loaded_(std::make_shared<const Loaded>(loaded)),
      names_timer_(loop) {}

void LiveSettings::read_again(const std::function<void()>& done) {
  const auto fresh = std::make_shared<Loaded>();
  const bool taken = reader_.run([fresh, again = reading_.again] { *fresh = again(); },
                                 [this, fresh, done](bool finished) {
                                   if (finished) take_fresh(*fresh);
                                   done();
                                 });
  if (taken) return;
  log_.error("reload ignored: the previous reload has not ended");
  done();
}

// What can change while running is the log level and the policy.
void LiveSettings::take_fresh(const Loaded& fresh) {
  std::vector<std::string> problems = fresh.problems;
  if (auto removal = policy_removal_problem(rules_of(loaded_->settings.policy), fresh);
      problems.empty() && !removal.empty())
    problems.push_back(std::move(removal));
  for (const std::string& problem : problems) log_.error(problem);
  if (!problems.empty()) {
    log_.error("configuration rejected, keeping the old one");
    return;
  }
  const std::string change = policy_change(loaded_->settings.policy, fresh.settings.policy);
  loaded_ = std::make_shared<const Loaded>(fresh);
  log_.set_level(fresh.settings.log.level);
  log_.info("configuration reloaded: log level and policy apply now, all else at the next start",
            {{"file", fresh.file ? std::string_view(fresh.file->native()) : "none"},
             {"level", to_string(log_.level())},
             {"policy", change}});
  take_policy_(effective_policy(fresh.settings.policy, ::geteuid()));
  tell_unresolved();
}

void LiveSettings::stop() {
  stopped_ = true;
  names_timer_.cancel();
}

void LiveSettings::add_problems(std::vector<std::string>& all) const {
  for (const UnresolvedName& name : loaded_->settings.unresolved) {
    all.push_back(fmt::format(
        "{} of {} cannot be looked up: {}: {}", name.name, name.where, name.why,
        name.in_policy ? "its rule only denies until it can" : "restart the broker when it can"));
  }
}

// --- names that are not known

void LiveSettings::tell_unresolved() {
  for (const UnresolvedName& name : loaded_->settings.unresolved) {
    log_.warning(name.in_policy
                     ? "name lookup failed: the rule only denies until the lookup succeeds"
                     : "name lookup failed: the setting is ignored until a restart",
                 {{"name", name.name}, {"where", name.where}, {"why", name.why}});
  }
  look_up_later();
}

void LiveSettings::look_up_later() {
  const auto& names = loaded_->settings.unresolved;
  const auto in_policy = [](const UnresolvedName& name) { return name.in_policy; };
  if (stopped_ || std::none_of(names.begin(), names.end(), in_policy)) return;
  names_timer_.expires_after(kLookUpAgainAfter);
  names_timer_.async_wait([this](std::error_code error) {
    if (!error && !stopped_) look_up_names();
  });
}

void LiveSettings::look_up_names() {
  const auto fresh = std::make_shared<Loaded>();
  const auto before = loaded_;
  const bool taken =
      reader_.run([fresh, before, names = reading_.names] { *fresh = names(*before); },
                  [this, fresh, before](bool finished) {
                    if (before != loaded_ || stopped_) return;  // a newer one has a try of its own
                    if (!finished || fresh->settings.unresolved == before->settings.unresolved) {
                      return look_up_later();
                    }
                    names_found(std::move(*fresh));
                  });
  if (!taken) look_up_later();
}

void LiveSettings::names_found(Loaded fresh) {
  for (const std::string& problem : fresh.problems) log_.error(problem);
  if (!fresh.problems.empty()) {
    log_.error(
        "a policy rule names an unknown user or group: it only denies until the file is corrected");
    return;
  }
  loaded_ = std::make_shared<const Loaded>(std::move(fresh));
  take_policy_(effective_policy(loaded_->settings.policy, ::geteuid()));
  log_.info("names of the policy resolved",
            {{"still_unknown", loaded_->settings.unresolved.size()}});
  look_up_later();
}

}  // namespace muster::daemon
