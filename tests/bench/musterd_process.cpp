#include "bench/musterd_process.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "muster/socket_dir.h"

#include "bench/frames.h"
#include "bench/unix_socket.h"
#include "wire/framing.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

// `log` says why when it does not.
os::UniqueFd connect_when_it_listens(Child& child, const std::filesystem::path& directory,
                                     const std::filesystem::path& log) {
  const auto patience = Clock::now() + std::chrono::seconds(5);
  for (;;) {
    try {
      return connect_to(directory / kControlSocketName);
    } catch (const std::system_error&) {
      if (!child.is_running() || Clock::now() > patience) {
        throw std::runtime_error("musterd did not start: " + text_of(log));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // it has no other sign
    }
  }
}

}  // namespace

MusterdProcess::MusterdProcess(const MusterdCommand& command,
                               const std::filesystem::path& directory)
    : directory_(directory) {
  std::vector<std::string> words{command.program, "--socket-dir", directory};
  if (std::find(command.arguments.begin(), command.arguments.end(), "--config") ==
      command.arguments.end()) {
    // Never this host's own. An empty file: a musterd of another version may take no /dev/null.
    const std::filesystem::path none = directory / "none.toml";
    std::ofstream{none}.close();
    words.insert(words.end(), {"--config", none});
  }
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  const std::filesystem::path log = directory / "log";
  child_ = Child::run(words, log);
  control_ = connect_when_it_listens(child_, directory, log);
}

std::filesystem::path MusterdProcess::backend_socket() const {
  return directory_ / kBackendSocketName;
}

std::filesystem::path MusterdProcess::control_socket() const {
  return directory_ / kControlSocketName;
}

void MusterdProcess::send(std::string_view frame) { send_all(control_.get(), frame); }

std::string_view MusterdProcess::receive() {
  std::array<char, wire::kHeaderBytes> header{};
  receive_all(control_.get(), header.data(), header.size());
  std::size_t length = 0;
  for (std::size_t i = 4; i >= 1; --i) length = length << 8 | static_cast<unsigned char>(header[i]);
  if (length > wire::kMaxControlBody) throw std::runtime_error("musterd's frame is too long");
  body_.resize(length);
  receive_all(control_.get(), body_.data(), body_.size());
  return body_;
}

wire::ControlResponse MusterdProcess::decode(std::string_view body) {
  std::optional<wire::ControlAnswerFrame> frame;
  const std::string problem = decoder_.decode(body, frame);
  if (!problem.empty()) throw std::runtime_error("musterd's answer: " + problem);
  auto* response = std::get_if<wire::ControlResponse>(&frame->message);
  if (response == nullptr) throw std::runtime_error("musterd sent an event instead of an answer");
  if (const auto* error = std::get_if<ControlError>(response)) {
    throw std::runtime_error("musterd refused: " + error->message);
  }
  return std::move(*response);
}

BroadcastReport MusterdProcess::receive_report() {
  wire::ControlResponse response = decode(receive());
  auto* report = std::get_if<BroadcastReport>(&response);
  if (report == nullptr) throw std::runtime_error("musterd sent no report");
  return std::move(*report);
}

BroadcastId MusterdProcess::receive_acceptance() {
  const wire::ControlResponse response = decode(receive());
  const auto* accepted = std::get_if<wire::BroadcastAccepted>(&response);
  if (accepted == nullptr) throw std::runtime_error("musterd did not accept a broadcast");
  return accepted->id;
}

BroadcastReport MusterdProcess::report(BroadcastId id) {
  wire::ControlRequestFrame request;
  request.request_id = 1;
  request.message = wire::GetReport{id, true};
  send(wire::encode(request));
  return receive_report();
}

std::string start_frame(std::optional<std::chrono::milliseconds> ack_timeout, bool detach) {
  wire::StartBroadcast start;
  start.request.operation = BroadcastOperation::release_handles(std::string(kPath));
  start.request.ack_timeout = ack_timeout;
  start.detach = detach;
  wire::ControlRequestFrame frame;
  frame.request_id = 1;
  frame.message = std::move(start);
  return wire::encode(frame);
}

}  // namespace muster::bench
