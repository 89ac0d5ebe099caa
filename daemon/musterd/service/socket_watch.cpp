#include "musterd/service/socket_watch.h"

#include <utility>

#include <fmt/format.h>

#include "broker/broker_server.h"
#include "musterd/config/command_line.h"

namespace muster::daemon {

SocketWatch::SocketWatch(ServerSockets& sockets, SocketSettings settings,
                         broker::BrokerServer& server, ControlPlane& control, Log& log)
    : sockets_(sockets),
      settings_(std::move(settings)),
      server_(server),
      control_(control),
      log_(log) {}

std::optional<int> SocketWatch::look() {
  sockets_.place.let_go_of_others();
  if (const auto status = look_at_place()) return status;
  return look_at_tasks();
}

std::optional<int> SocketWatch::look_at_place() {
  const LostSockets lost{server_.has_lost_listener(), control_.has_lost_listener()};
  misplaced_ = misplaced(sockets_, lost);
  if (misplaced_.empty()) return std::nullopt;
  not_put_back_ = put_back(sockets_, settings_, lost);
  if (!not_put_back_.empty()) {
    // Backends go on with the broker that is there now, or with the next one.
    log_.error(lost.any() ? "sockets shut down by another process and cannot be made again, exiting"
                          : "sockets deleted and cannot be made again, exiting",
               {{"gone", misplaced_}, {"why", not_put_back_}});
    return sockets_.passed ? kExitSocketsGone : kExitCannotRun;
  }
  for (auto& socket : sockets_.backend) {
    if (socket) server_.listen(std::move(socket));
  }
  for (auto& socket : sockets_.control) {
    if (socket) control_.listen(std::move(socket));
  }
  sockets_.backend.clear();
  sockets_.control.clear();
  log_.warning(lost.any() ? "sockets were shut down by another process, made them again"
                          : "sockets were deleted, made them again",
               {{"gone", misplaced_}});
  misplaced_.clear();
  return std::nullopt;
}

// A failed task starts again by itself. Not twice in a row: only another process helps then.
std::optional<int> SocketWatch::look_at_tasks() {
  const std::string what = not_served(server_, control_);
  const bool was_served = std::exchange(is_served_, what.empty());
  if (what.empty() || was_served) return std::nullopt;
  log_.error("a socket is no longer served, exiting", {{"why", what}});
  return kExitCannotRun;
}

bool SocketWatch::all_served() const {
  return misplaced_.empty() && not_served(server_, control_).empty();
}

void SocketWatch::add_problems(std::vector<std::string>& all) const {
  if (!misplaced_.empty()) {
    all.push_back(fmt::format("clients cannot connect to {}: {}", misplaced_, not_put_back_));
  }
  if (auto what = not_served(server_, control_); !what.empty()) all.push_back(std::move(what));
}

}  // namespace muster::daemon
