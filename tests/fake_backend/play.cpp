#include "fake_backend/play.h"

#include <algorithm>
#include <csignal>
#include <poll.h>
#include <string>
#include <unistd.h>

#include "fake_backend/garbage.h"

namespace muster::fake {
namespace {

using std::chrono::milliseconds;

std::string or_default(const std::string& text, const char* fallback) {
  return text.empty() ? fallback : text;
}

void fail(FakeBackend& backend, std::uint64_t id, BroadcastFailureReason reason,
          std::string detail) {
  backend.answer(id, Failure{reason, std::move(detail)});
}

// Step `step` of `count`: asks for more time and comes back when half of it is over.
void work(FakeBackend& backend, std::uint64_t id, milliseconds extend, std::uint32_t step,
          std::uint32_t count) {
  if (step == count) return backend.answer(id, Ack{});
  Working message;
  message.extend = extend;
  message.percent = 100 * step / count;
  message.note = "step " + std::to_string(step + 1) + " of " + std::to_string(count);
  backend.answer(id, message);
  backend.later(extend / 2, [&backend, id, extend, step, count] {
    work(backend, id, extend, step + 1, count);
  });
}

void work_forever(FakeBackend& backend, std::uint64_t id, milliseconds extend) {
  if (backend.is_cancelled(id)) return;
  Working message;
  message.extend = extend;
  message.note = "no end in sight";
  backend.answer(id, message);
  backend.later(std::max(extend / 2, milliseconds(1)),
                [&backend, id, extend] { work_forever(backend, id, extend); });
}

// The child is deaf and dumb, and goes when the broker closes.
[[noreturn]] void hold_until_hang_up(int socket) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  for (int fd = 0; fd < 3; ++fd) ::close(fd);  // whoever reads this program's output sees its end
  pollfd hang_up{socket, 0, 0};
  while ((hang_up.revents & (POLLHUP | POLLERR)) == 0) ::poll(&hang_up, 1, -1);
  ::_exit(0);
}

void fork_and_exit(FakeBackend& backend) {
  const pid_t child = ::fork();
  if (child == 0) hold_until_hang_up(backend.connection().descriptor());
  backend.say("forked " + std::to_string(child));
  ::_exit(0);
}

void flood(FakeBackend& backend, std::uint64_t id, std::uint32_t count) {
  const std::string one = wire::encode(0, Activity{});
  std::string all;
  all.reserve(one.size() * count);
  for (std::uint32_t i = 0; i < count; ++i) all += one;
  backend.send(all, "flood");
  backend.answer(id, Ack{});
}

// Those that send something at once.
void speak(FakeBackend& backend, const Behaviour& behaviour, std::uint64_t id) {
  const std::string& text = behaviour.text;
  switch (behaviour.act) {
    case Act::kReject:
      return fail(backend, id, BroadcastFailureReason::kRejected,
                  or_default(text, "told to reject"));
    case Act::kUnsupported:
      return fail(backend, id, BroadcastFailureReason::kUnsupportedOperation,
                  or_default(text, "told not to support it"));
    case Act::kError:
      return fail(backend, id, BroadcastFailureReason::kBackendError,
                  or_default(text, "told to fail"));
    case Act::kTwice:
      backend.answer(id, Ack{});
      return backend.answer(id, Ack{});
    case Act::kUnknownId:
      backend.answer(id + 1'000'000, Ack{});
      return backend.answer(id, Ack{});
    case Act::kHalfFrame: {
      const std::string ack = wire::encode(id, Ack{});
      return backend.send(std::string_view(ack).substr(0, ack.size() / 2), "half a frame");
    }
    case Act::kGarbage:
      backend.stay_away();
      return backend.send(garbage(text, id, backend.registration_frame()), "garbage " + text);
    case Act::kByteByByte:
      backend.connection().trickle(std::max(behaviour.delay, milliseconds(1)));
      return backend.answer(id, Ack{});
    case Act::kFlood:
      return flood(backend, id, behaviour.count);
    default:
      return backend.answer(id, Ack{});
  }
}

}  // namespace

void play(FakeBackend& backend, const Behaviour& behaviour, const OutgoingOperation& operation) {
  const std::uint64_t id = operation.broadcast_id;
  const auto ack_in = [&](milliseconds delay) {
    backend.later(delay, [&backend, id] { backend.answer(id, Ack{}); });
  };
  switch (behaviour.act) {
    case Act::kSilent:
      return;
    case Act::kAckAfter:
      return ack_in(behaviour.delay);
    case Act::kLate:
      return ack_in(operation.ack_timeout + behaviour.delay);
    case Act::kWork:
      return work(backend, id, behaviour.delay, 0, behaviour.count);
    case Act::kWorkForever:
      return work_forever(backend, id, behaviour.delay);
    case Act::kExit:
      ::_exit(0);
    case Act::kCrash:
      ::raise(SIGKILL);
      return;
    case Act::kStop:
      ::raise(SIGSTOP);
      return;
    case Act::kDrop:
      return backend.drop();
    case Act::kDropReturn:
      return backend.drop_and_return(behaviour.delay);
    case Act::kAckDrop:
      backend.answer(id, Ack{});
      return backend.drop();
    case Act::kSecondConnection:
      return backend.connect_again();
    case Act::kDeregister:
      backend.stay_away();
      return backend.deregister();
    case Act::kHalfClose:
      backend.stay_away();
      return backend.connection().half_close();
    case Act::kForkHold:
      return fork_and_exit(backend);
    case Act::kStopReading:
      return backend.connection().stop_reading();
    default:
      return speak(backend, behaviour, id);
  }
}

void play_again(FakeBackend& backend, const Behaviour& behaviour,
                const OutgoingOperation& operation) {
  if (behaviour.act == Act::kDropReturn || behaviour.act == Act::kSecondConnection) {
    return backend.answer(operation.broadcast_id, Ack{});
  }
  play(backend, behaviour, operation);
}

}  // namespace muster::fake
