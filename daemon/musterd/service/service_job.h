// Which job of the service manager stops the broker: a restart quiesces nobody, a stop does.
//
// systemd sends the same SIGTERM for both, so it is asked, over its bus. That blocks: it runs on a
// thread of its own, and is given up after a second. The loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>

#include "musterd/runtime/worker.h"

namespace muster::daemon {

struct ServiceJob {
  std::string type;     // systemd's word: "stop", "restart"; empty when there is no job
  std::string problem;  // why it cannot be told; a sentence's end

  [[nodiscard]] bool is_restart() const noexcept {
    return type.find("restart") != std::string::npos;  // "try-restart", "reload-or-restart"
  }
};

// Whether systemd started this process as a unit's.
[[nodiscard]] bool is_run_by_systemd();
// The job of this process's unit: asks the manager of the system, or the user's if the unit is
// one of that. Blocks, `patience` at most.
[[nodiscard]] ServiceJob ask_service_job(std::chrono::milliseconds patience);

class ServiceJobQuestion {
 public:
  using Ask = std::function<ServiceJob(std::chrono::milliseconds patience)>;
  using Answered = std::function<void(const ServiceJob& job)>;

  static constexpr std::chrono::milliseconds kPatience{1000};

  explicit ServiceJobQuestion(const asio::any_io_executor& loop, Ask ask = ask_service_job);
  ~ServiceJobQuestion();
  ServiceJobQuestion(const ServiceJobQuestion&) = delete;
  ServiceJobQuestion& operator=(const ServiceJobQuestion&) = delete;

  // REQUIRES: once. `answered` is called once, on the loop, when kPatience is over at the latest.
  void ask(Answered answered);
  // Answers now, with a problem, if nothing did. False: it is not open.
  bool give_up(std::string_view why);

 private:
  void answer(const ServiceJob& job);

  Ask ask_;
  Worker worker_;
  asio::steady_timer timer_;
  Answered answered_;  // empty: not asked, or answered
};

}  // namespace muster::daemon
