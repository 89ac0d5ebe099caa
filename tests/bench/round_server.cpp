#include "bench/round_server.h"

#include <string_view>
#include <sys/socket.h>

#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::string_view bytes_of(const auto& record) {
  return {reinterpret_cast<const char*>(&record), sizeof(record)};
}

class RoundLoop {
 public:
  RoundLoop(int control, RoundServer& server) : control_(control), server_(server) {}

  void serve() {
    for (;;) {
      server_.idle(control_);
      AskRecord ask;
      if (::recv(control_, &ask, sizeof(ask), MSG_WAITALL) != sizeof(ask)) return;
      obey(ask);
    }
  }

 private:
  void obey(const AskRecord& ask) {
    switch (ask.what) {
      case Ask::kStart:
        send_all(control_, bytes_of(AnswerRecord{}));
        run_round();
        break;
      case Ask::kFinish:
        run_round();
        send_all(control_, bytes_of(AnswerRecord{}));
        break;
      case Ask::kClients:
        server_.expect_clients(ask.count);
        send_all(control_, bytes_of(AnswerRecord{}));
        break;
      case Ask::kTimes:
        send_all(control_, bytes_of(TimesHead{times_.size(), lost_}));
        send_all(control_,
                 {reinterpret_cast<const char*>(times_.data()), times_.size() * sizeof(times_[0])});
        times_.clear();
        lost_ = 0;
        break;
    }
  }

  void run_round() {
    const auto start = Clock::now();
    Clock::time_point end = start;
    lost_ += server_.round(end);
    times_.push_back(std::chrono::nanoseconds(end - start).count());
  }

  int control_;
  RoundServer& server_;
  std::vector<std::int64_t> times_;
  std::uint64_t lost_ = 0;
};

}  // namespace

void serve_rounds(int control, RoundServer& server) { RoundLoop(control, server).serve(); }

}  // namespace muster::bench
