// Quotas of users, and what each user has in use. Pure.
//
// What is counted goes to the account of the user who caused it, as the kernel names it: a
// connection and a registration to the backend's, a broadcast to the operator's, what waits to be
// sent to that of the backend or operator that does not read. An account exists while
// something is in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/queue_account.h"

namespace muster::core {

// The most that one user may have at a time. The defaults leave room for 10,000 backends of one
// user, all of which reconnect at once: the old connection may be there when the new one comes.
struct Quota {
  std::uint64_t connections = 32'768;  // of backends, registered or not
  std::uint64_t registrations = 16'384;
  std::uint64_t queued_bytes = 64ULL * 1024 * 1024;  // over all its backends
  std::uint64_t broadcasts = 512;                    // in flight
  std::uint64_t operators = 32;                      // connections of operators
  std::uint64_t followers = 64;                      // requests of operators that get events
  std::uint64_t answer_bytes = 64ULL * 1024 * 1024;  // over all its operators
  std::uint64_t report_bytes = 64ULL * 1024 * 1024;  // of the reports it asked for
  std::uint64_t holds = 64;                          // that go on

  friend bool operator==(const Quota&, const Quota&) = default;
};

// What is said of one user apart; the rest is as for everybody.
struct QuotaOverride {
  std::optional<std::uint64_t> connections;
  std::optional<std::uint64_t> registrations;
  std::optional<std::uint64_t> queued_bytes;
  std::optional<std::uint64_t> broadcasts;
  std::optional<std::uint64_t> operators;
  std::optional<std::uint64_t> followers;
  std::optional<std::uint64_t> answer_bytes;
  std::optional<std::uint64_t> report_bytes;
  std::optional<std::uint64_t> holds;
};

struct Quotas {
  Quota each;
  std::map<uid_t, QuotaOverride> of_uid;

  [[nodiscard]] Quota of(uid_t uid) const;
};

// What is counted one by one. kOperator and kFollower of a privileged user are bounded by what the
// broker has in all, not by a quota.
enum class Resource : std::uint8_t {
  kConnection,
  kRegistration,
  kBroadcast,
  kOperator,
  kFollower,
  kHold,
};

// Root and the broker's own user: they have a reserve of what users share.
[[nodiscard]] bool is_privileged(uid_t uid) noexcept;
// Of what users share and take one by one, up to `most` of it, how many `uid` finds taken at most:
// a quarter, 16 at most, is reserved for root and the broker's own user.
[[nodiscard]] std::size_t most_for(uid_t uid, std::size_t most) noexcept;
// Of what users share and lose when there is too much of it: whether `used` is within the quarter
// that nobody can take from root and the broker's own user.
[[nodiscard]] bool is_reserved(uid_t uid, std::size_t used, std::size_t most) noexcept;

class Accounts {
 public:
  struct Account {
    Quota quota;
    std::uint64_t connections = 0;
    std::uint64_t registrations = 0;
    std::uint64_t broadcasts = 0;
    std::uint64_t operators = 0;
    std::uint64_t followers = 0;
    std::uint64_t holds = 0;
    QueueAccount queue;
    // Shared with the answers that are charged to it: they may be freed after the account.
    std::shared_ptr<QueueAccount> answers;
  };

  explicit Accounts(Quotas quotas) : quotas_(std::move(quotas)) {}

  // Nothing when there is room for one more. Else the beginning of a sentence that says how much is
  // used and what the quota is: "uid 1000 has 512 broadcasts in flight, and its quota is 512".
  [[nodiscard]] std::optional<std::string> refusal(Resource resource, uid_t uid) const;
  void take(Resource resource, uid_t uid);
  // REQUIRES: it was taken.
  void give_back(Resource resource, uid_t uid) noexcept;
  // Stays where it is while the user has a connection. REQUIRES: it has one.
  [[nodiscard]] QueueAccount& queue_of(uid_t uid) { return accounts_.at(uid).queue; }
  // Of what waits for the user's operators. REQUIRES: it has one.
  [[nodiscard]] std::shared_ptr<QueueAccount> answers_of(uid_t uid) {
    return accounts_.at(uid).answers;
  }
  [[nodiscard]] Quota quota_of(uid_t uid) const { return quotas_.of(uid); }

  // Null when nothing is in use.
  [[nodiscard]] const Account* find(uid_t uid) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return accounts_.size(); }
  // Those who have something in use, in ascending order.
  [[nodiscard]] std::vector<uid_t> users() const;

 private:
  Quotas quotas_;
  std::unordered_map<uid_t, Account> accounts_;
};

// One of a resource that a user has, until it is destroyed.
class Taken {
 public:
  Taken() = default;
  // Takes it. REQUIRES: `ledger` is not null.
  Taken(std::shared_ptr<Accounts> ledger, Resource resource, uid_t uid)
      : ledger_(std::move(ledger)), resource_(resource), uid_(uid) {
    ledger_->take(resource, uid);
  }
  Taken(Taken&& other) noexcept
      : ledger_(std::move(other.ledger_)), resource_(other.resource_), uid_(other.uid_) {}
  Taken& operator=(Taken&& other) noexcept {
    std::swap(ledger_, other.ledger_);
    std::swap(resource_, other.resource_);
    std::swap(uid_, other.uid_);
    return *this;
  }
  ~Taken() {
    if (ledger_) ledger_->give_back(resource_, uid_);
  }

 private:
  std::shared_ptr<Accounts> ledger_;
  Resource resource_ = Resource::kConnection;
  uid_t uid_ = 0;
};

}  // namespace muster::core
