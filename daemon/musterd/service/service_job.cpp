#include "musterd/service/service_job.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#include "os/error_text.h"

namespace muster::daemon {
namespace {

constexpr const char* kManager = "org.freedesktop.systemd1";
// What the thread has less than the loop: it ends by itself before it is given up.
constexpr std::chrono::milliseconds kAnswerMargin{100};

struct CloseBus {
  void operator()(sd_bus* bus) const noexcept { ::sd_bus_close_unref(bus); }
};
using BusPtr = std::unique_ptr<sd_bus, CloseBus>;

struct DropMessage {
  void operator()(sd_bus_message* message) const noexcept { ::sd_bus_message_unref(message); }
};
using MessagePtr = std::unique_ptr<sd_bus_message, DropMessage>;

// Calls of the service manager, all of them within one time.
class ManagerBus {
 public:
  explicit ManagerBus(std::chrono::milliseconds patience)
      : until_(std::chrono::steady_clock::now() + patience) {}

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  bool open() {
    char* unit = nullptr;
    const bool of_user = ::sd_pid_get_user_unit(0, &unit) >= 0;
    std::free(unit);
    sd_bus* bus = nullptr;
    const int opened = of_user ? ::sd_bus_open_user(&bus) : ::sd_bus_open_system(&bus);
    bus_.reset(bus);
    if (opened < 0) return failed("the bus cannot be reached", opened);
    // A call would wait for the bus's greeting without any limit.
    for (;;) {
      const int ready = ::sd_bus_is_ready(bus);
      if (ready > 0) return true;
      if (ready < 0) return failed("the bus cannot be reached", ready);
      const int done = ::sd_bus_process(bus, nullptr);
      if (done < 0) return failed("the bus cannot be reached", done);
      if (done > 0) continue;
      if (left() == 0) return failed("the bus does not answer", -ETIMEDOUT);
      const int waited = ::sd_bus_wait(bus, left());
      if (waited < 0 && waited != -EINTR) return failed("the bus cannot be reached", waited);
    }
  }

  // Empty: see problem().
  std::string unit_path() {
    MessagePtr reply = call([&](sd_bus_error* error, sd_bus_message** answer) {
      return ::sd_bus_call_method(bus_.get(), kManager, "/org/freedesktop/systemd1",
                                  "org.freedesktop.systemd1.Manager", "GetUnitByPID", error, answer,
                                  "u", static_cast<std::uint32_t>(::getpid()));
    });
    const char* path = nullptr;
    if (!reply || !understood(::sd_bus_message_read(reply.get(), "o", &path))) return {};
    return path;
  }

  // Empty: there is none, or see problem().
  std::string job_path(const std::string& unit) {
    MessagePtr reply = property(unit, "org.freedesktop.systemd1.Unit", "Job", "(uo)");
    std::uint32_t number = 0;
    const char* path = nullptr;
    if (!reply || !understood(::sd_bus_message_read(reply.get(), "(uo)", &number, &path))) {
      return {};
    }
    return number == 0 ? std::string() : std::string(path);
  }

  std::string job_type(const std::string& job) {
    MessagePtr reply = property(job, "org.freedesktop.systemd1.Job", "JobType", "s");
    const char* type = nullptr;
    if (!reply || !understood(::sd_bus_message_read(reply.get(), "s", &type))) return {};
    return type;
  }

 private:
  [[nodiscard]] std::uint64_t left() const {
    const auto now = std::chrono::steady_clock::now();
    const auto time =
        std::chrono::duration_cast<std::chrono::microseconds>(std::max(until_, now) - now);
    return static_cast<std::uint64_t>(time.count());
  }

  template <class Call>
  MessagePtr call(Call&& make) {
    // 0 would be the default, 25 s.
    (void)::sd_bus_set_method_call_timeout(bus_.get(), std::max<std::uint64_t>(left(), 1));
    sd_bus_error error{nullptr, nullptr, 0};
    sd_bus_message* answer = nullptr;
    const int result = make(&error, &answer);
    MessagePtr reply(answer);
    if (result < 0) {
      failed("the service manager does not answer", result);
      if (error.message != nullptr) problem_ += std::string(" (") + error.message + ')';
      reply.reset();
    }
    ::sd_bus_error_free(&error);
    return reply;
  }

  MessagePtr property(const std::string& path, const char* interface, const char* name,
                      const char* type) {
    return call([&](sd_bus_error* error, sd_bus_message** answer) {
      return ::sd_bus_get_property(bus_.get(), kManager, path.c_str(), interface, name, error,
                                   answer, type);
    });
  }

  bool understood(int result) {
    return result >= 0 || failed("the service manager's answer cannot be read", result);
  }

  bool failed(const char* what, int error) {
    problem_ = what;
    problem_ += ": " + os::error_text(-error);
    return false;
  }

  const std::chrono::steady_clock::time_point until_;
  BusPtr bus_;
  std::string problem_;
};

}  // namespace

bool is_run_by_systemd() {
  return ::sd_booted() > 0 && (::secure_getenv("INVOCATION_ID") != nullptr ||
                               ::secure_getenv("NOTIFY_SOCKET") != nullptr);
}

ServiceJob ask_service_job(std::chrono::milliseconds patience) {
  ManagerBus bus(patience);
  ServiceJob job;
  if (bus.open()) {
    const std::string unit = bus.unit_path();
    const std::string path = unit.empty() ? std::string() : bus.job_path(unit);
    if (!path.empty()) job.type = bus.job_type(path);
  }
  job.problem = bus.problem();
  return job;
}

ServiceJobQuestion::ServiceJobQuestion(const asio::any_io_executor& loop, Ask ask)
    : ask_(std::move(ask)), worker_(loop), timer_(loop) {}

ServiceJobQuestion::~ServiceJobQuestion() { worker_.close(kAnswerMargin); }

void ServiceJobQuestion::ask(Answered answered) {
  answered_ = std::move(answered);
  timer_.expires_after(kPatience);
  timer_.async_wait([this](std::error_code cancelled) {
    if (!cancelled) give_up("the service manager does not answer in time");
  });
  const auto job = std::make_shared<ServiceJob>();
  const bool taken = worker_.run([job, ask = ask_] { *job = ask(kPatience - kAnswerMargin); },
                                 [this, job](bool finished) {
                                   if (!finished) job->problem = "out of memory";
                                   answer(*job);
                                 });
  if (!taken) give_up("there is no thread to ask the service manager on");
}

bool ServiceJobQuestion::give_up(std::string_view why) {
  if (!answered_) return false;
  answer({{}, std::string(why)});
  return true;
}

void ServiceJobQuestion::answer(const ServiceJob& job) {
  // Two may come: the thread's, and that it takes too long.
  const Answered answered = std::exchange(answered_, {});
  timer_.cancel();
  if (answered) answered(job);
}

}  // namespace muster::daemon
