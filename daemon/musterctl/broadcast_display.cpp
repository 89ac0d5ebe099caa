#include "musterctl/broadcast_display.h"

#include <chrono>
#include <optional>

#include "muster/control.h"

#include "musterctl/event_text.h"
#include "musterctl/live_line.h"
#include "musterctl/progress.h"

namespace muster::ctl {
namespace {

using Clock = std::chrono::steady_clock;

class Nothing : public BroadcastDisplay {
 public:
  void on_event(const Event& /*event*/) override {}
  void tick() override {}
};

class Lines : public BroadcastDisplay {
 public:
  explicit Lines(Console& console) : console_(console) {}

  void on_event(const Event& event) override { console_.progress(lines_.line(event)); }
  void tick() override {}

 private:
  Console& console_;
  PlainProgress lines_;
};

class Live : public BroadcastDisplay {
 public:
  Live(Console& console, std::filesystem::path socket_dir)
      : console_(console), socket_dir_(std::move(socket_dir)), line_(console, Clock::now()) {}

  void on_event(const Event& event) override { progress_.apply(event, Clock::now()); }

  void tick() override {
    const auto now = Clock::now();
    if (!line_.due(now)) return;
    const bool ask = progress_.id() != 0 && !progress_.knows_who_is_open();
    if (ask && now >= ask_again_at_) ask_who_is_open(now);
    // The last column stays free: a terminal would wrap.
    line_.draw(progress_.line(now, console_.err_columns() - 1), now);
  }

 private:
  void ask_who_is_open(Clock::time_point now) {
    ask_again_at_ = now + std::chrono::seconds(1);
    const auto report = report_so_far();
    if (report) progress_.seed(*report, Clock::now());
  }

  // Nothing when that fails: the line names nobody, and the broadcast itself will tell what is
  // wrong.
  std::optional<BroadcastReport> report_so_far() const {
    try {
      ControlClient client(socket_dir_, std::chrono::seconds(1));
      return client.report(progress_.id());
    } catch (const ControlFailure&) {
      return std::nullopt;
    }
  }

  Console& console_;
  std::filesystem::path socket_dir_;
  LiveLine line_;
  Progress progress_;
  Clock::time_point ask_again_at_{};
};

}  // namespace

std::unique_ptr<BroadcastDisplay> make_display(Console& console, bool silent,
                                               const std::filesystem::path& socket_dir) {
  if (silent) return std::make_unique<Nothing>();
  if (console.err_is_live()) return std::make_unique<Live>(console, socket_dir);
  return std::make_unique<Lines>(console);
}

}  // namespace muster::ctl
