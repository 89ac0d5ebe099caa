#include "bench/forked_subject.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <sys/socket.h>
#include <system_error>
#include <utility>

#include "bench/round_server.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

void ask(const os::UniqueFd& control, Ask what, std::size_t count = 0) {
  AskRecord record;
  record.what = what;
  record.count = count;
  send_all(control.get(), {reinterpret_cast<const char*>(&record), sizeof(record)});
}

void receive(const os::UniqueFd& control, auto* out, std::size_t count = 1) {
  receive_all(control.get(), reinterpret_cast<char*>(out), count * sizeof(*out));
}

}  // namespace

ForkedSubject::ForkedSubject(std::filesystem::path socket, MakeProtocol protocol,
                             const Serve& serve)
    : socket_(std::move(socket)), protocol_(std::move(protocol)) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  control_.reset(ends[0]);
  const os::UniqueFd other_end(ends[1]);
  child_ = Child::fork([&] {
    control_.reset();
    serve(other_end.get());
  });
}

void ForkedSubject::wait_for_clients(std::size_t count) {
  ask(control_, Ask::kClients, count);
  AnswerRecord answer;
  receive(control_, &answer);
}

void ForkedSubject::start_round() { ask(control_, Ask::kStart); }

void ForkedSubject::take_acceptance() {
  AnswerRecord answer;
  receive(control_, &answer);
}

RoundTimes ForkedSubject::take_times(std::size_t) {
  ask(control_, Ask::kTimes);
  TimesHead head;
  receive(control_, &head);
  std::vector<std::int64_t> times(head.rounds);
  receive(control_, times.data(), times.size());
  RoundTimes result;
  result.lost_answers = head.lost_answers;
  for (const std::int64_t time : times) {
    result.milliseconds.push_back(static_cast<double>(time) / 1e6);
  }
  return result;
}

double ForkedSubject::operator_round(std::size_t) {
  const auto start = std::chrono::steady_clock::now();
  ask(control_, Ask::kFinish);
  take_acceptance();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace muster::bench
