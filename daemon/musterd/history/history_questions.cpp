// What operators ask of a History. The thread answers: it has the file.
#include <exception>
#include <utility>

#include "musterd/history/history.h"
#include "wire/control_lane.h"
#include "wire/history.h"

namespace muster::daemon {

bool History::ask(uid_t user, std::function<void(HistoryStore&, Answer&)> what, Done done) {
  const auto known = questions_->of_users.find(user);
  const std::size_t of_user = known == questions_->of_users.end() ? 0 : known->second;
  if (questions_->all >= kMostQuestions || of_user >= kMostQuestionsOfUser) return false;
  hand_over(true);  // so that the answer has what came before the question
  const auto answer = std::make_shared<Answer>();
  const bool is_taken = worker_.run(
      [answer, what = std::move(what), store = store_] {
        try {
          store->look_after();
          what(*store, *answer);
        } catch (const std::exception& error) {
          answer->problem = error.what();
        }
      },
      [answer, questions = questions_, user, done = std::move(done)](bool /*finished*/) {
        --questions->all;
        if (--questions->of_users[user] == 0) questions->of_users.erase(user);
        done(std::move(*answer));
      });
  if (is_taken) {
    ++questions_->all;
    ++questions_->of_users[user];
  }
  return is_taken;
}

bool History::find(uid_t user, HistoryQuery query, Done done) {
  std::string problem;
  if (!problem_.empty()) problem = "it cannot be written: " + problem_;
  auto what = [query = std::move(query), missing = missing_, problem = std::move(problem)](
                  HistoryStore& store, Answer& answer) {
    HistoryPage page = store.find(query);
    page.missing = missing;
    page.problem = problem;
    answer.payload = wire::payload_of(page);
  };
  return ask(user, std::move(what), std::move(done));
}

bool History::report(uid_t user, BroadcastId id, Done done) {
  auto what = [id](HistoryStore& store, Answer& answer) {
    if (const auto report = store.report(id)) answer.payload = wire::payload_of_report(*report);
  };
  return ask(user, std::move(what), std::move(done));
}

}  // namespace muster::daemon
