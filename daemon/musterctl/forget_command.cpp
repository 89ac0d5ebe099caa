#include <optional>
#include <sstream>
#include <string>

#include "muster/control.h"
#include "muster/path.h"

#include "musterctl/broadcast_options.h"
#include "musterctl/client.h"
#include "musterctl/command.h"
#include "musterctl/exit_status.h"
#include "musterctl/json_object.h"
#include "musterctl/text.h"

namespace muster::ctl {
namespace {

// Reads what BackendKey::to_string() writes, which is what `backends` shows. Without a version: the
// service alone.
std::optional<BackendKey> read_key(const std::string& text) {
  std::istringstream words(text);
  BackendKey key;
  words >> key.service_name >> key.service_version;
  for (std::string word; words >> word;) {
    if (word.size() > 2 && word.front() == '[' && word.back() == ']') {
      const auto instance = Instance::parse(word.substr(1, word.size() - 2));
      if (!instance) return std::nullopt;
      key.instance = *instance;
    } else if (word.size() > 1 && word.front() == '#') {
      key.replica = word.substr(1);
    } else {
      return std::nullopt;
    }
  }
  if (key.service_name.empty()) return std::nullopt;
  return key;
}

// The one backend that is not connected and has this service.
BackendKey find_gone(ControlClient& client, const std::string& service) {
  std::optional<BackendKey> found;
  for (const BackendInfo& backend : client.backends()) {
    const bool gone = backend.state == BackendState::kDead || backend.state == BackendState::kLost;
    if (!gone || backend.key.service_name != service) continue;
    if (found) {
      throw UsageError("forget: several backends of service \"" + escape_bytes(service) +
                       "\" are dead or lost: give the whole KEY, as `musterctl backends` has it");
    }
    found = backend.key;
  }
  if (!found) {
    throw UsageError("forget: no backend of service \"" + escape_bytes(service) +
                     "\" is dead or lost: see `musterctl backends`");
  }
  return *found;
}

class ForgetCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "forget"; }
  [[nodiscard]] std::string summary() const override {
    return "Remove a dead or lost backend from the list";
  }

  void declare(Options& options) override {
    options.argument(
        "KEY", "The backend, as `musterctl backends` shows it, in quotes", true,
        [this](const std::string& text) {
          const auto key = read_key(text);
          if (key) key_ = *key;
          return key ? std::string()
                     : '"' + escape_bytes(text) +
                           "\" is not a key: write it as `musterctl backends` does, like "
                           "\"soldr 2.0.1 #r2\"";
        });
    declare_quiet(options, quiet_);
    options.epilogue(
        "The process of a lost backend still runs. Once the backend is forgotten, no broadcast\n"
        "fails because of it: make sure that its process does not use the files. The backend is\n"
        "listed again when it registers again. The service alone is enough if only one backend of\n"
        "it is dead or lost.\n"
        "\n"
        "Examples:\n"
        "  musterctl forget 'soldr 2.0.1 #r2'\n"
        "  musterctl forget soldr\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, !quiet_);
    if (key_.service_version.empty()) key_ = find_gone(client, key_.service_name);
    client.forget(key_);
    if (quiet_) return kAllAcked;
    invocation.console.out(invocation.common.json
                               ? JsonObject().text("forgotten", key_.to_string()).line()
                               : shown(key_) + " was forgotten\n");
    return kAllAcked;
  }

 private:
  BackendKey key_;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> forget_command() { return std::make_unique<ForgetCommand>(); }

}  // namespace muster::ctl
