#include "support/scripted_control.h"

#include <array>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>
#include <variant>

#include "wire/framing.h"

namespace muster::test {
namespace {

std::string to_text(const HoldRequest& hold) {
  std::string text = " hold";
  if (hold.leased) text += " leased";
  if (hold.ttl) text += " ttl=" + std::to_string(hold.ttl->count());
  return text;
}

struct Describe {
  std::string operator()(const HistoryQuery& query) const {
    return "history, at most " + std::to_string(query.limit);
  }
  std::string operator()(const wire::Ping&) const { return "ping"; }
  std::string operator()(const wire::StartBroadcast& start) const {
    const BroadcastRequest& request = start.request;
    std::string text = "broadcast " + request.operation.to_string();
    if (request.ack_timeout) text += " timeout=" + std::to_string(request.ack_timeout->count());
    for (const Selector& selector : request.selection) text += " select=" + selector.to_string();
    if (const auto* release = request.operation.as_release_handles();
        release != nullptr && !release->alias.empty()) {
      text += " alias=" + release->alias;
    }
    if (!request.operation_key.empty()) text += " key=" + request.operation_key;
    if (!request.traceparent.empty()) text += " traceparent=" + request.traceparent;
    if (!request.tracestate.empty()) text += " tracestate=" + request.tracestate;
    if (request.deadline) text += " deadline=" + std::to_string(request.deadline->count());
    if (request.verify) text += " verify=" + std::to_string(request.verify_wait.count());
    if (request.hold) text += to_text(*request.hold);
    if (start.detach) text += " detach";
    if (start.dry_run) text += " dry-run";
    if (start.events) text += " events";
    return text;
  }
  std::string operator()(const wire::GetReport& get) const {
    return "report " + std::to_string(get.id) + (get.wait ? " wait" : "");
  }
  std::string operator()(const wire::CancelBroadcast& cancel) const {
    return "cancel " + std::to_string(cancel.id);
  }
  std::string operator()(const wire::ListBackends& list) const {
    std::string text = "backends";
    for (const Selector& selector : list.selection) text += " select=" + selector.to_string();
    return text;
  }
  std::string operator()(const wire::GetStatus&) const { return "status"; }
  std::string operator()(const wire::Watch&) const { return "watch"; }
  std::string operator()(const PolicyQuestion& question) const {
    return "explain policy for uid " + std::to_string(question.uid);
  }
  std::string operator()(const wire::Resume& resume) const {
    std::string text = "resume " + std::to_string(resume.id);
    for (const Selector& selector : resume.selection) text += " select=" + selector.to_string();
    return text;
  }
  std::string operator()(const wire::ForgetBackend& forget) const {
    return "forget " + forget.key.to_string();
  }
  std::string operator()(const wire::FindHolders& find) const { return "holders " + find.path; }
  std::string operator()(const wire::ListHolds&) const { return "holds"; }
  std::string operator()(const wire::EndHold& end) const {
    return "end hold " + std::to_string(end.id);
  }
  std::string operator()(const wire::KeepHold& keep) const {
    return (keep.detach ? "detach hold " : "keep hold ") + std::to_string(keep.id);
  }
  std::string operator()(const wire::Cancel&) const { return "no more events"; }
};

}  // namespace

void ScriptedControl::Peer::raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the client is gone: its business
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void ScriptedControl::Peer::answer(const wire::ControlResponse& response) {
  answer_to(request_, response);
}

void ScriptedControl::Peer::answer_to(std::uint64_t request_id,
                                      const wire::ControlResponse& response) {
  raw(wire::encode(request_id, response));
}

void ScriptedControl::Peer::event(const Event& event) { raw(wire::encode(request_, event)); }

void ScriptedControl::Peer::hang_up() { ::shutdown(socket_, SHUT_RDWR); }

std::optional<wire::ControlRequestFrame> ScriptedControl::Peer::next() {
  for (;;) {
    const wire::FrameView view = wire::next_frame(input_, wire::kMaxControlBody);
    if (view.status == wire::FrameView::Status::kBad) return std::nullopt;
    if (view.status == wire::FrameView::Status::kComplete) {
      wire::ControlRequestFrame frame;
      const std::string problem = decoder_.decode(view.body, frame);
      input_.erase(0, view.bytes);
      if (!problem.empty()) return std::nullopt;
      request_ = frame.request_id;
      owner_.note(frame);
      return frame;
    }
    std::array<char, 4096> chunk{};
    const ssize_t got = ::recv(socket_, chunk.data(), chunk.size(), 0);
    if (got <= 0) return std::nullopt;
    input_.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

ScriptedControl::ScriptedControl(Script script) : script_(std::move(script)) {
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 16) != 0) {
    throw std::runtime_error("cannot listen at " + socket());
  }
  thread_ = std::thread([this] { serve(); });
}

ScriptedControl::~ScriptedControl() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
  for (const os::UniqueFd& connection : connections_) ::shutdown(connection.get(), SHUT_RDWR);
  for (std::thread& conversation : conversations_) conversation.join();
}

void ScriptedControl::serve() {
  for (;;) {
    const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back(socket);
    conversations_.emplace_back([this, socket] { converse(socket); });
  }
}

void ScriptedControl::converse(int socket) {
  Peer peer(*this, socket);
  while (const auto frame = peer.next()) script_(peer, *frame);
}

void ScriptedControl::note(const wire::ControlRequestFrame& frame) {
  const std::lock_guard lock(mutex_);
  requests_ += std::visit(Describe{}, frame.message) + '\n';
}

std::string ScriptedControl::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace muster::test
