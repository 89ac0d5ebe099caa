#include "musterctl/event_text.h"

#include "muster/path.h"

#include "musterctl/outcome_text.h"
#include "musterctl/text.h"

namespace muster::ctl {
namespace {

std::string process(const Event& event) {
  std::string text;
  if (event.pid > 0) text = "pid " + std::to_string(event.pid) + ", ";
  return text + "uid " + std::to_string(event.uid);
}

std::string who(const Event& event) {
  if (!event.key) return "a peer (" + process(event) + ')';
  return shown(*event.key) + " (" + process(event) + ')';
}

std::string with_detail(std::string text, const Event& event) {
  if (!event.detail.empty()) text += ": " + escape_bytes(event.detail);
  return text;
}

std::string counts(const Event& event) {
  std::string text = std::to_string(event.acks) + " of " + std::to_string(event.targets) + " acked";
  if (event.timeouts > 0) text += ", " + std::to_string(event.timeouts) + " timed out";
  if (event.failures > 0) text += ", " + std::to_string(event.failures) + " failed";
  if (event.skipped_dead > 0) text += ", " + std::to_string(event.skipped_dead) + " dead skipped";
  return text;
}

std::string outcome(const Event& event) {
  if (!event.backend_outcome) return who(event) + " has an outcome";
  const BackendOutcome& of = *event.backend_outcome;
  std::string text = who(event) + ' ' + std::string(outcome_word(of));
  return text + (of.outcome == OutcomeKind::kAck ? " " : ": ") + outcome_reason(of);
}

std::string working(const Event& event) {
  std::string text = who(event) + " asks for more time";
  if (!event.backend_outcome) return with_detail(std::move(text), event);
  const std::string note = shown_note(event.backend_outcome->percent, event.backend_outcome->note);
  return note.empty() ? text : text + ": " + note;
}

}  // namespace

std::string show_event(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kBackendRegistered:
      return with_detail(who(event) + " registered", event);
    case Event::Kind::kBackendReturned:
      return who(event) + " reconnected";
    case Event::Kind::kBackendReconnecting:
      return with_detail(who(event) + " disconnected and may reconnect", event);
    case Event::Kind::kBackendDead:
      return with_detail(who(event) + " is dead", event);
    case Event::Kind::kBackendDeregistered:
      return who(event) + " left";
    case Event::Kind::kPeerRefused:
      return with_detail(who(event) + " was refused", event);
    case Event::Kind::kBroadcastStarted:
      return escape_controls(event.operation) +
             (event.joined ? ": joined, which asked " : ": asked ") +
             counted(event.targets, "backend") +
             (event.skipped_dead == 0
                  ? ""
                  : ", skipped " + std::to_string(event.skipped_dead) + " dead");
    case Event::Kind::kOutcome:
      return outcome(event);
    case Event::Kind::kWorking:
      return working(event);
    case Event::Kind::kRedelivered:
      return who(event) + " reconnected and was asked again";
    case Event::Kind::kLateAnswer:
      return with_detail(who(event) + " answered after its deadline", event);
    case Event::Kind::kDuplicateAnswer:
      return with_detail(who(event) + " answered a second time (ignored)", event);
    case Event::Kind::kUnmatchedAnswer:
      return with_detail(who(event) + " answered an unknown broadcast", event);
    case Event::Kind::kBroadcastFinished:
      return "finished: " + counts(event);
    case Event::Kind::kShuttingDown:
      return with_detail("the broker is shutting down", event);
    case Event::Kind::kBackendLost:
      return who(event) + " is lost: disconnected, and its process still runs";
    case Event::Kind::kBackendResumed:
      return who(event) + " may take work again";
    case Event::Kind::kBackendForgotten:
      return who(event) + " was forgotten";
    case Event::Kind::kEventsLost:
      return with_detail("events were lost, musterctl read too slowly", event);
  }
  return with_detail("something of a kind that this musterctl does not know", event);
}

std::string show_watched_event(const Event& event, const UserName& user) {
  std::string text = local_time_of_day(event.unix_ms) + "  ";
  if (event.broadcast_id != 0) text += "broadcast " + std::to_string(event.broadcast_id) + ": ";
  text += show_event(event);
  // Of a broadcast: with each outcome it would be the same again.
  const bool names_operator =
      event.kind != Event::Kind::kOutcome && event.kind != Event::Kind::kWorking;
  if (event.asked_by && names_operator)
    text += "; asked by " + shown_operator(*event.asked_by, user);
  return text + '\n';
}

std::string PlainProgress::line(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kBroadcastStarted:
      return "broadcast " + std::to_string(event.broadcast_id) + ": " + show_event(event) + '\n';
    case Event::Kind::kOutcome:
    case Event::Kind::kWorking:
    case Event::Kind::kRedelivered:
    case Event::Kind::kEventsLost:
      break;
    default:
      return {};  // the summary says it, or it is about something else
  }
  std::string kind(to_string(event.kind));
  if (event.kind == Event::Kind::kOutcome && event.backend_outcome) {
    kind = outcome_word(*event.backend_outcome);
  }
  const std::size_t before = written_[kind]++;
  if (before < most_) return show_event(event) + '\n';
  if (before > most_) return {};
  return "(" + std::to_string(most_) + " lines of kind \"" + kind +
         "\" shown; leaving out the rest)\n";
}

}  // namespace muster::ctl
