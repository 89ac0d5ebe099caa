#include "musterctl/user_names.h"

#include <condition_variable>
#include <csignal>
#include <grp.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <pwd.h>
#include <thread>
#include <utility>
#include <vector>

#include "muster/path.h"

#include "os/signals_blocked.h"

namespace muster::ctl {
namespace {

std::string name_in_database(uid_t uid) {
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return escape_bytes(found->pw_name);
}

std::string name_in_group_database(gid_t gid) {
  std::vector<char> buffer(64 * 1024);
  group entry{};
  group* found = nullptr;
  if (::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return escape_bytes(found->gr_name);
}

constexpr std::chrono::milliseconds kNamePatience{200};

// The thread shares it with the caller, and may outlive it.
class BoundedNames : public std::enable_shared_from_this<BoundedNames> {
 public:
  BoundedNames(UserName look_up, std::chrono::milliseconds patience)
      : look_up_(std::move(look_up)), left_(patience) {}

  std::string name(uid_t uid) {
    std::unique_lock lock(mutex_);
    const auto at = known_.find(uid);
    if (at != known_.end()) return at->second;
    if (pending_ || left_ <= decltype(left_)::zero()) return {};
    const auto before = std::chrono::steady_clock::now();
    pending_ = uid;
    if (!start()) return {};
    answered_.wait_for(lock, left_, [this] { return !pending_; });
    left_ -= std::chrono::steady_clock::now() - before;
    const auto found = known_.find(uid);
    return found == known_.end() ? std::string() : found->second;
  }

  [[nodiscard]] bool pending() {
    const std::lock_guard lock(mutex_);
    return pending_.has_value();
  }

 private:
  // A thread for each name: there are few, and none is left waiting at the end.
  bool start() {
    try {
      // Signals are the main thread's: it may wait for them.
      const os::SignalsBlocked blocked;
      std::thread([self = shared_from_this(), uid = *pending_] {
        std::string name = self->look_up_(uid);
        const std::lock_guard lock(self->mutex_);
        self->known_.emplace(uid, std::move(name));
        self->pending_.reset();
        self->answered_.notify_all();
      }).detach();
    } catch (const std::system_error&) {
      pending_.reset();
      left_ = {};
      return false;
    }
    return true;
  }

  const UserName look_up_;
  std::mutex mutex_;  // what follows
  std::condition_variable answered_;
  std::chrono::nanoseconds left_;
  std::map<uid_t, std::string> known_;
  std::optional<uid_t> pending_;
};

BoundedNames& system_names() {
  static const auto names = std::make_shared<BoundedNames>(name_in_database, kNamePatience);
  return *names;
}

BoundedNames& system_group_names() {
  static const auto names = std::make_shared<BoundedNames>(name_in_group_database, kNamePatience);
  return *names;
}

}  // namespace

UserName bounded_user_names(UserName look_up, std::chrono::milliseconds patience) {
  auto names = std::make_shared<BoundedNames>(std::move(look_up), patience);
  return [names](uid_t uid) { return names->name(uid); };
}

UserName user_names_of_system() {
  return [](uid_t uid) { return system_names().name(uid); };
}

std::function<std::string(gid_t)> group_names_of_system() {
  return [](gid_t gid) { return system_group_names().name(gid); };
}

bool names_are_pending() { return system_names().pending() || system_group_names().pending(); }

std::string shown_user(uid_t uid, const UserName& name) {
  const std::string known = name(uid);
  const std::string number = std::to_string(uid);
  return known.empty() ? number : known + " (" + number + ')';
}

std::string shown_process(pid_t pid, uid_t uid, const UserName& name) {
  std::string text;
  text = pid > 0 ? "pid " + std::to_string(pid) + ", " : "pid not visible, ";
  text += "uid " + std::to_string(uid);
  const std::string known = name(uid);
  if (!known.empty()) text += ' ' + known;
  return text;
}

std::string shown_operator(const Operator& who, const UserName& name) {
  const std::string known = name(who.uid);
  const std::string number = "uid " + std::to_string(who.uid);
  std::string text = known.empty() ? number : known + " (" + number + ')';
  if (who.pid > 0) text += ", pid " + std::to_string(who.pid);
  if (!who.command.empty()) text += ", " + escape_controls(who.command);
  return text;
}

}  // namespace muster::ctl
