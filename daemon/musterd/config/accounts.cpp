#include "musterd/config/accounts.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <grp.h>
#include <mutex>
#include <pwd.h>
#include <thread>
#include <utility>
#include <vector>

#include "muster/path.h"

#include "os/error_text.h"
#include "os/signals_blocked.h"

namespace muster::daemon {
namespace {

// A group may have very many members.
constexpr std::size_t kMostAccountBytes = 16 << 20;

// Calls ask(entry, text, size, &found) with room enough. `error` as getpwnam_r(3) has it: 0 with
// nothing found is "does not exist", anything else is "cannot be said".
template <class Entry, class Ask>
const Entry* ask_accounts(Entry& entry, std::vector<char>& text, int& error, Ask ask) {
  text.resize(4096);
  for (;;) {
    Entry* found = nullptr;
    error = ask(&entry, text.data(), text.size(), &found);
    if (error == EINTR) continue;
    if (error != ERANGE || text.size() >= kMostAccountBytes) return error == 0 ? found : nullptr;
    text.resize(text.size() * 2);
  }
}

// One account: what one of the getpwnam_r(3) family says of `key`.
template <class Entry, class Key>
class Account {
 public:
  using Ask = int (*)(Key, Entry*, char*, std::size_t, Entry**);

  Account(Ask ask, Key key)
      : found_(ask_accounts(entry_, text_, error_,
                            [&](Entry* into, char* bytes, std::size_t size, Entry** result) {
                              return ask(key, into, bytes, size, result);
                            })) {}
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;
  ~Account() = default;

  // Null: there is none, or it cannot be said.
  [[nodiscard]] const Entry* found() const noexcept { return found_; }
  [[nodiscard]] Lookup lookup(id_t Entry::*id) const {
    if (error_ != 0) return {std::nullopt, os::error_text(error_)};
    return {found_ == nullptr ? std::nullopt : std::optional<id_t>(found_->*id), {}};
  }
  [[nodiscard]] std::string name_or_number(id_t number, char* Entry::*name) const {
    return found_ == nullptr ? std::to_string(number) : escape_bytes(found_->*name);
  }

 private:
  Entry entry_{};
  std::vector<char> text_;
  int error_ = 0;
  const Entry* found_;
};

}  // namespace

Lookup find_user(const std::string& name) {
  return Account(::getpwnam_r, name.c_str()).lookup(&passwd::pw_uid);
}

Lookup find_group(const std::string& name) {
  return Account(::getgrnam_r, name.c_str()).lookup(&group::gr_gid);
}

std::string user_name(uid_t uid) {
  return Account(::getpwuid_r, uid).name_or_number(uid, &passwd::pw_name);
}

std::string group_name(gid_t gid) {
  return Account(::getgrgid_r, gid).name_or_number(gid, &group::gr_name);
}

bool is_member(uid_t uid, gid_t gid) {
  const Account account(::getpwuid_r, uid);
  const passwd* const found = account.found();
  if (found == nullptr) return false;
  constexpr int kUsual = 64;
  std::vector<gid_t> groups(kUsual);
  int count = kUsual;
  if (::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) < 0) return false;
  }
  groups.resize(static_cast<std::size_t>(count));
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

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
      const os::SignalsBlocked blocked;
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
