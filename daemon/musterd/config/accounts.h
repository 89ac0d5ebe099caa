// Users and groups of this host by name. Any thread; may block for as long as the name service
// does.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

namespace muster::daemon {

// A gid or uid that no account has: chown(2) takes it for "leave it".
inline constexpr uid_t kNobodysId = ~uid_t{0};

// "Cannot be looked up now" is not "does not exist".
struct Lookup {
  std::optional<id_t> id;
  std::string problem;  // why it cannot be said now; empty with or without an id

  [[nodiscard]] bool known() const noexcept { return problem.empty(); }
};

[[nodiscard]] Lookup find_user(const std::string& name);
[[nodiscard]] Lookup find_group(const std::string& name);

// Who is asked for names.
struct NameLookup {
  std::function<Lookup(const std::string& name)> user = find_user;
  std::function<Lookup(const std::string& name)> group = find_group;
};

// "muster", or the number where there is no name.
[[nodiscard]] std::string user_name(uid_t uid);
[[nodiscard]] std::string group_name(gid_t gid);
// Whether the accounts say that `uid` is in `gid`, by its primary group or another.
[[nodiscard]] bool is_member(uid_t uid, gid_t gid);

// Names with a bound on the time: the name service may hang for as long as it likes, on a thread of
// its own.
//
// Any thread, one at a time.
class NameService {
 public:
  // Each lookup takes at most `patience`. While one hangs, every other cannot be made, at once: so
  // a configuration of many names waits only once.
  explicit NameService(std::chrono::milliseconds patience, NameLookup names = {});
  ~NameService();
  NameService(const NameService&) = delete;
  NameService& operator=(const NameService&) = delete;

  // Good for as long as this is.
  [[nodiscard]] NameLookup bounded();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::daemon
