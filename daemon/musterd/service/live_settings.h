// The settings in force: taken at the start, read again when asked, and looked up again for as long
// as names of the policy are not known. The loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>

#include "core/access_policy.h"
#include "musterd/config/load.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"

namespace muster::daemon {

class LiveSettings {
 public:
  // Reading the configuration again, and looking up names of it again: both may block.
  struct Reading {
    std::function<Loaded()> again;
    std::function<Loaded(const Loaded& before)> names;
  };
  using TakePolicy = std::function<void(core::AccessPolicyPtr)>;

  // Files are read on `reader`. REQUIRES: `reader` and `log` outlive this. Each policy after the
  // first is passed to `take_policy`.
  LiveSettings(const asio::any_io_executor& loop, const Loaded& loaded, Worker& reader, Log& log,
               Reading reading, TakePolicy take_policy);

  [[nodiscard]] const Settings& settings() const noexcept { return loaded_->settings; }
  // A word for each name that cannot be looked up, and another try.
  void tell_unresolved();
  // `done` follows, whatever came of it.
  void read_again(const std::function<void()>& done);
  // Names are not looked up again any more.
  void stop();
  // A sentence for each name that is not known.
  void add_problems(std::vector<std::string>& all) const;

 private:
  void take_fresh(const Loaded& fresh);
  void look_up_later();
  void look_up_names();
  void names_found(Loaded fresh);

  Worker& reader_;
  Log& log_;
  Reading reading_;
  TakePolicy take_policy_;
  std::shared_ptr<const Loaded> loaded_;  // what is in force
  asio::steady_timer names_timer_;
  bool stopped_ = false;
};

}  // namespace muster::daemon
