// What a session answers from the history.
#include <array>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "musterd/control/control_session.h"
#include "net/spawn.h"

namespace muster::daemon {

asio::awaitable<History::Answer> ControlSession::ask_history(std::shared_ptr<ControlSession> self,
                                                             HistoryQuestion question) {
  struct Wait {
    bool over = false;
    History::Answer answer;
  };
  const auto wait = std::make_shared<Wait>();
  History::Done done = [wait, weak = self->weak_from_this()](History::Answer answer) {
    wait->answer = std::move(answer);
    wait->over = true;
    if (const auto waiting = weak.lock()) waiting->answer_timer_.cancel();
  };
  if (!question(*self->context_->facts.history, std::move(done))) {
    wait->answer.problem = fmt::format("other questions wait already ({} of one user at most)",
                                       History::kMostQuestionsOfUser);
    co_return std::move(wait->answer);
  }
  const auto until = std::chrono::steady_clock::now() + kHistoryPatience;
  self->turn_.end();
  while (!wait->over && !self->finishing_ && std::chrono::steady_clock::now() < until) {
    self->answer_timer_.expires_at(until);
    co_await self->answer_timer_.async_wait(net::kUseTuple);
  }
  co_await UserTurns::Turn::begin(self->turn_);
  if (!wait->over) wait->answer.problem = "its disk does not answer";
  co_return std::move(wait->answer);
}

bool ControlSession::may_need_history(
    const decltype(wire::ControlRequestFrame::message)& request) noexcept {
  return std::holds_alternative<HistoryQuery>(request) ||
         std::holds_alternative<wire::GetReport>(request);
}

asio::awaitable<void> ControlSession::look_back(std::shared_ptr<ControlSession> self,
                                                wire::ControlRequestFrame frame) {
  if (auto* query = std::get_if<HistoryQuery>(&frame.message)) {
    co_await find_history(self, frame.request_id, std::move(*query));
    co_return;
  }
  const auto request = std::get<wire::GetReport>(frame.message);
  std::optional<ControlError> gone = self->get_report(frame.request_id, request);
  if (gone) co_await find_old_report(self, frame.request_id, request.id, *std::move(gone));
}

asio::awaitable<void> ControlSession::find_history(std::shared_ptr<ControlSession> self,
                                                   std::uint64_t id, HistoryQuery query) {
  const History* const history = self->context_->facts.history;
  if (history == nullptr || !history->is_enabled()) {
    co_return self->respond(
        id, ControlError{ControlError::Code::kInvalid,
                         "this broker keeps no history: its configuration says [history] enabled "
                         "= false"});
  }
  HistoryQuestion question = [user = self->who_.uid, query = std::move(query)](History& of,
                                                                               History::Done done) {
    return of.find(user, query, std::move(done));
  };
  History::Answer answer = co_await ask_history(self, std::move(question));
  if (self->finishing_) co_return;
  if (answer.problem.empty()) co_return self->respond_payload(id, std::move(answer.payload));
  self->respond(
      id, ControlError{ControlError::Code::kBusy, "the history cannot be read: " + answer.problem +
                                                      ": try again, or see `musterctl status`"});
}

asio::awaitable<void> ControlSession::find_old_report(std::shared_ptr<ControlSession> self,
                                                      std::uint64_t id, BroadcastId broadcast,
                                                      ControlError otherwise) {
  const History* const history = self->context_->facts.history;
  if (history == nullptr || !history->is_enabled()) co_return self->respond(id, otherwise);
  HistoryQuestion question = [user = self->who_.uid, broadcast](History& of, History::Done done) {
    return of.report(user, broadcast, std::move(done));
  };
  History::Answer answer = co_await ask_history(self, std::move(question));
  if (self->finishing_) co_return;
  if (!answer.payload.empty()) co_return self->respond_payload(id, std::move(answer.payload));
  if (!answer.problem.empty()) {
    otherwise.message += "; the history cannot be read: " + answer.problem;
  }
  self->respond(id, otherwise);
}

void ControlSession::respond_payload(std::uint64_t id, std::string payload) {
  wire::FrameAround around = wire::answer_around(id, payload.size());
  const auto charged = charged_bytes(std::move(payload), answers_);
  if (charged == nullptr) return no_room(id);
  end_request(id);
  const std::array<net::SharedBytes, 3> parts{
      std::make_shared<const std::string>(std::move(around.before)), charged,
      std::make_shared<const std::string>(std::move(around.after))};
  sent(stream_.send(parts));
}

}  // namespace muster::daemon
