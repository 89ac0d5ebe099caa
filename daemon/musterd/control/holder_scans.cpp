#include "musterd/control/holder_scans.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include <asio/post.hpp>

#include "muster/text.h"

#include "musterd/runtime/worker.h"
#include "net/asked_scan.h"
#include "net/blocking_frames.h"
#include "os/error_text.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

// A scan has 2 s for leases at most, and a second for every 100,000 descriptors.
constexpr std::chrono::seconds kPatience{30};

HolderScan failed(const wire::ScanRequest& request, std::string problem) {
  return failed_scan(request.path, std::move(problem));
}

}  // namespace

HolderScan failed_scan(std::string path, std::string problem) {
  HolderScan scan;
  scan.prefix = std::move(path);
  scan.problem = std::move(problem);
  return scan;
}

HolderScan scan_with_rights(const std::filesystem::path& socket, const wire::ScanRequest& request,
                            std::chrono::milliseconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "muster-scan at " + quote(socket.native());
  if (socket.native().size() >= sizeof address.sun_path) {
    return failed(request, name + ": the path is too long for a socket");
  }
  socket.native().copy(address.sun_path, sizeof address.sun_path - 1);
  const os::UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return failed(request, name + ": " + os::error_text(errno));
  net::set_patience(connection.get(), patience);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return net::scan_as_asked(request);  // it is not installed
    return failed(request, name + " cannot be asked: " + os::error_text(errno));
  }
  std::string problem = net::send_frame(connection.get(), wire::encode_scan(request));
  if (!problem.empty()) return failed(request, name + " cannot be asked: " + problem);
  const std::string body = net::receive_frame(connection.get(), wire::kMaxScanBody, problem);
  HolderScan scan;
  if (problem.empty()) problem = wire::decode_scan(body, scan);
  if (!problem.empty()) return failed(request, name + " gave no answer: " + problem);
  return scan;
}

HolderScan scan_as_wanted(const std::filesystem::path& socket, const WantedScan& wanted,
                          std::chrono::milliseconds patience) {
  const auto family = [&] {
    return wanted.without ? os::family_of(*wanted.without, wanted.children_after)
                          : os::ProcessFamily();
  };
  const os::ProcessFamily before = family();
  HolderScan scan = scan_with_rights(socket, wanted.request, patience);
  const bool is_own_left_out = wanted.without && !(scan.holders.empty() && scan.unseen.empty());
  if (is_own_left_out) os::leave_out(scan, before, family());
  constexpr auto kMostRows = HolderScans::kMostRowsForBroadcast;
  if (wanted.who == WantedScan::For::kBroadcast && scan.holders.size() > kMostRows) {
    scan.more_holders += scan.holders.size() - kMostRows;
    scan.holders.resize(kMostRows);
  }
  return scan;
}

struct HolderScans::State : std::enable_shared_from_this<HolderScans::State> {
  struct Job {
    WantedScan wanted;
    Done done;
  };
  struct User {
    std::deque<Job> for_broadcasts;
    std::deque<Job> for_operators;
    // With the one that runs.
    std::size_t broadcasts = 0;
    std::size_t operators = 0;
  };

  State(const asio::any_io_executor& executor, std::filesystem::path where)
      : loop(executor), socket(std::move(where)), worker(executor) {}

  // The counts that a scan is in.
  struct Places {
    std::size_t& all;
    std::size_t& of_user;
  };
  Places places(const WantedScan& wanted) {
    User& user = users[wanted.user];
    return wanted.who == WantedScan::For::kBroadcast ? Places{all_broadcasts, user.broadcasts}
                                                     : Places{all_operators, user.operators};
  }
  // The next of the user after the last one who had a turn.
  std::optional<Job> next() {
    auto at = users.upper_bound(last_user);
    for (std::size_t i = 0; i < users.size(); ++i, ++at) {
      if (at == users.end()) at = users.begin();
      User& user = at->second;
      auto& jobs = user.for_broadcasts.empty() ? user.for_operators : user.for_broadcasts;
      if (jobs.empty()) continue;
      last_user = at->first;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      return job;
    }
    return std::nullopt;
  }

  void start_next() {
    while (!is_running) {
      std::optional<Job> job = next();
      if (!job) return;
      const auto shared = std::make_shared<Job>(std::move(*job));
      const auto scan =
          std::make_shared<HolderScan>(failed(shared->wanted.request, "the scan failed"));
      is_running = worker.run(
          [scan, shared, socket = socket] {
            *scan = scan_as_wanted(socket, shared->wanted, kPatience);
          },
          [scan, shared, weak = weak_from_this()](bool /*finished*/) {
            const auto self = weak.lock();
            if (!self) return;
            self->is_running = false;
            self->end(*shared, std::move(*scan));
            self->start_next();
          });
      if (is_running) return;
      scan->problem = "no thread is free for a scan: try again";
      // In a later turn: callers do not expect the answer inside their call.
      asio::post(loop, [scan, shared, weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->end(*shared, std::move(*scan));
      });
    }
  }

  void end(const Job& job, HolderScan scan) {
    const auto user = users.find(job.wanted.user);
    const Places taken = places(job.wanted);
    --taken.all;
    --taken.of_user;
    if (user->second.broadcasts == 0 && user->second.operators == 0) users.erase(user);
    job.done(std::move(scan));
  }

  const asio::any_io_executor loop;
  const std::filesystem::path socket;
  std::map<uid_t, User> users;  // with a scan that waits or runs
  uid_t last_user = 0;
  std::size_t all_broadcasts = 0;
  std::size_t all_operators = 0;
  bool is_running = false;
  Worker worker;
};

HolderScans::HolderScans(const asio::any_io_executor& loop, std::filesystem::path socket)
    : state_(std::make_shared<State>(loop, std::move(socket))) {}

HolderScans::~HolderScans() = default;

bool HolderScans::scan(WantedScan wanted, Done done) {
  const bool is_for_broadcast = wanted.who == WantedScan::For::kBroadcast;
  State::User& user = state_->users[wanted.user];
  const State::Places places = state_->places(wanted);
  const bool has_room =
      places.all < (is_for_broadcast ? kMostForBroadcasts : kMost) &&
      places.of_user < (is_for_broadcast ? kMostForBroadcastsOfUser : kMostOfUser);
  if (has_room) {
    auto& jobs = is_for_broadcast ? user.for_broadcasts : user.for_operators;
    jobs.push_back({std::move(wanted), std::move(done)});
    ++places.all;
    ++places.of_user;
    state_->start_next();
    return true;
  }
  if (user.broadcasts == 0 && user.operators == 0) state_->users.erase(wanted.user);
  return false;
}

}  // namespace muster::daemon
