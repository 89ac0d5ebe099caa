#include "musterctl/session_asks.h"

#include <algorithm>
#include <cerrno>

#include "muster/control.h"
#include "muster/json.h"
#include "muster/path.h"

#include "musterctl/exit_status.h"
#include "musterctl/json_object.h"

namespace muster::ctl {
namespace {

using SessionClock = std::chrono::steady_clock;

// What a broker may need at most that has not been configured otherwise, and what it may be late.
constexpr std::chrono::milliseconds kUsualMost = std::chrono::minutes(5);
constexpr std::chrono::milliseconds kGrace = std::chrono::seconds(10);

std::chrono::milliseconds most_of(const BroadcastRequest& request) {
  if (request.deadline) return *request.deadline + kGrace;
  return std::max(kUsualMost, request.ack_timeout.value_or(kUsualMost)) + kGrace;
}

void fail(SessionAnswer& answer, int status, const std::string& code, std::string why) {
  answer.status = status;
  answer.error_json = JsonObject().text("code", code).text("message", why).line();
  answer.error_json.pop_back();
  answer.failure = std::move(why);
}

bool is_left_over(const ControlFailure& failure) {
  return failure.system_error() == ECONNREFUSED || failure.system_error() == ENOENT;
}

}  // namespace

SessionAsks::SessionAsks(const std::vector<SessionBroker>& brokers, const BroadcastRequest& request,
                         bool allow_empty)
    : answers_(brokers.size()), open_(brokers.size()) {
  for (std::size_t i = 0; i < brokers.size(); ++i) answers_[i].broker = brokers[i];
  for (SessionAnswer& answer : answers_) {
    threads_.emplace_back([this, &answer, request, allow_empty] {
      ask(answer, request, allow_empty);
      const std::lock_guard lock(mutex_);
      --open_;
      ended_.notify_all();
    });
  }
}

SessionAsks::~SessionAsks() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void SessionAsks::ask(SessionAnswer& answer, const BroadcastRequest& request, bool allow_empty) {
  const auto until = SessionClock::now() + most_of(request);
  try {
    ControlClient client(answer.broker.socket_dir);
    const auto uid = client.broker_uid();
    if (uid && *uid != answer.broker.uid && *uid != 0) {
      return fail(answer, kUnreachable, "UNREACHABLE",
                  "the broker belongs to uid " + std::to_string(*uid) + ", not to the session's");
    }
    answer.report = client.broadcast(
        request, [&](const Event& event) { answer.joined |= event.joined; },
        [&] { return !stop_ && SessionClock::now() < until; });
    if (answer.report) {
      answer.status = exit_status_of(*answer.report, allow_empty);
    } else {
      fail(answer, kUnreachable, "UNREACHABLE",
           stop_ ? "no longer waiting for its report"
                 : "the broker did not end the broadcast in time");
    }
  } catch (const ControlFailure& failure) {
    const bool refused = failure.kind() == ControlFailure::Kind::kRefused;
    answer.left_over = is_left_over(failure);
    fail(answer, refused ? kRefused : kUnreachable, "UNREACHABLE",
         escape_controls(failure.error().message));
    if (refused) answer.error_json = to_json(failure.error());
  } catch (const std::exception& error) {
    fail(answer, kUnreachable, "INTERNAL", error.what());
  }
}

std::vector<SessionAnswer> SessionAsks::wait(const std::function<bool()>& keep_waiting) {
  {
    std::unique_lock lock(mutex_);
    while (open_ > 0 && keep_waiting()) ended_.wait_for(lock, std::chrono::milliseconds(100));
  }
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return std::move(answers_);
}

}  // namespace muster::ctl
