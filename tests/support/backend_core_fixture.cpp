#include "support/backend_core_fixture.h"

#include "support/direct_sink.h"

namespace muster::test {
namespace {

Registration registration() {
  Registration registration;
  registration.key.service_name = "zccache";
  registration.key.service_version = "1.0.0";
  return registration;
}

}  // namespace

BackendCoreTest::BackendCoreTest()
    : sink_(std::make_shared<DirectSink<RecordingPort>>(port_)),
      core_(registration(),
            Backoff(std::chrono::milliseconds(100), std::chrono::milliseconds(10'000), 1), port_,
            sink_, activity_) {
  static_cast<DirectSink<RecordingPort>&>(*sink_).core = &core_;
}

BackendCoreTest::~BackendCoreTest() {
  static_cast<DirectSink<RecordingPort>&>(*sink_).core = nullptr;
}

void BackendCoreTest::run_handlers() {
  port_.queue.publish();
  if (busy_) return;
  while (port_.queue.run_one()) port_.queue.publish();
}

void BackendCoreTest::handlers_go_on() {
  busy_ = false;
  run_handlers();
}

std::string BackendCoreTest::happened() {
  std::string all;
  for (const auto& note : std::exchange(port_.notes, {})) {
    if (!all.empty()) all += "; ";
    all += note;
  }
  return all;
}

void BackendCoreTest::handle_with(Backend::Handler what) {
  const auto handler = [this, what = std::move(what)](Request& request) {
    port_.note("handler " + std::to_string(request.broadcast_id()));
    what(request);
  };
  handlers_.on(OperationKind::kReleaseHandles) = handler;
  handlers_.on(OperationKind::kQuiesce) = handler;
  if (!handlers_.hold_ended) handlers_.hold_ended = [](const HoldEnded&) {};
  use_handlers();
}

void BackendCoreTest::defer_all() {
  handle_with([this](Request& request) { pending_.push_back(request.defer()); });
}

void BackendCoreTest::listen() {
  handlers_.cancel = [this](BroadcastId id) { port_.note("on_cancel " + std::to_string(id)); };
  handlers_.state = [this](const StateChange& change) {
    const char* names[] = {"connecting", "registered", "refused", "stopped"};
    std::string text = std::string("on_state ") + names[static_cast<int>(change.state)];
    if (change.state == ConnectionState::kRegistered && !change.key.replica.empty()) {
      text += " as " + change.key.to_string();
    }
    if (change.incarnation != 0) text += " " + std::to_string(change.incarnation);
    if (!change.reason.empty()) text += " (" + change.reason + ")";
    port_.note(text);
  };
  handlers_.active_holds = [this](const std::vector<ActiveHold>& holds) {
    std::string text = "on_active_holds";
    for (const auto& hold : holds) text += " " + hold.path_prefix;
    port_.note(text);
  };
  handlers_.hold_ended = [this](const HoldEnded& ended) {
    port_.note("on_hold_ended " + std::to_string(ended.hold_id) + " (" +
               std::string(to_string(ended.why)) + ")");
  };
  handlers_.hold_started = [this](const ActiveHold& hold) {
    std::string text = "on_hold_started " + std::to_string(hold.id);
    if (!hold.path_prefix.empty()) text += " " + hold.path_prefix;
    if (!hold.alias.empty()) text += " = " + hold.alias;
    port_.note(text);
  };
  use_handlers();
}

void BackendCoreTest::started_and_registered() {
  start();
  registered();
  (void)happened();
}

void BackendCoreTest::registered(Incarnation incarnation, std::string epoch,
                                 std::vector<ActiveHold> holds) {
  Registered message;
  message.active_holds = std::move(holds);
  message.epoch = std::move(epoch);
  message.incarnation = incarnation;
  message.limits.max_ack_timeout = std::chrono::minutes(5);
  says(1, std::move(message));
}

void BackendCoreTest::operation(BroadcastId id, std::string path) {
  OutgoingOperation message;
  message.broadcast_id = id;
  message.operation = BroadcastOperation::release_handles(std::move(path));
  message.ack_timeout = std::chrono::seconds(5);
  message.deadline_unix_ms = port_.now_unix_ms() + 5000;
  says(id, std::move(message));
}

void BackendCoreTest::cancel(BroadcastId id) { says(id, wire::Cancel{}); }

void BackendCoreTest::refused(RefusalCode code, std::string reason, int retry_after_ms) {
  says(1, Refusal{code, std::move(reason), std::chrono::milliseconds(retry_after_ms)});
}

void BackendCoreTest::reconnects() {
  connection_ends();
  fires(BackendPort::Timer::kRetry);
}

void BackendCoreTest::fires(BackendPort::Timer timer) {
  auto& slot = port_.armed[static_cast<std::size_t>(timer)];
  ASSERT_TRUE(slot.has_value()) << "timer " << static_cast<int>(timer) << " is not armed";
  port_.time += *std::exchange(slot, std::nullopt);
  core_.timer_fired(timer);
  run_handlers();
}

}  // namespace muster::test
