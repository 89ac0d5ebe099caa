// musterctl history: what the broker remembers.
//
// musterctl has one thread: the functions of the C library that want that are good enough.
// NOLINTBEGIN(concurrency-mt-unsafe)
#include <charconv>
#include <chrono>
#include <optional>
#include <pwd.h>
#include <string>

#include "muster/control.h"
#include "muster/json.h"

#include "model/time_text.h"
#include "musterctl/history_text.h"
#include "musterctl/program.h"

namespace muster::ctl {
namespace {

constexpr std::chrono::milliseconds kLongestAgo = std::chrono::hours(24 * 3660);

// A number, a name of this host, or a name that the broker recorded.
std::string read_history_user(const std::string& text, HistoryQuery& query) {
  if (text.empty() || text.size() > HistoryQuery::kMaxUserBytes) {
    return "give a user's name or number";
  }
  uid_t uid = 0;
  const auto* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, uid);
  query.uid.reset();
  query.user.clear();
  if (parsed.ec == std::errc() && parsed.ptr == end) {
    query.uid = uid;
  } else if (const ::passwd* found = ::getpwnam(text.c_str())) {
    query.uid = found->pw_uid;
  } else {
    query.user = text;
  }
  return {};
}

std::string read_limit(const std::string& text, std::uint32_t& limit) {
  const auto* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, limit);
  const bool is_good = parsed.ec == std::errc() && parsed.ptr == end && limit >= 1 &&
                       limit <= HistoryQuery::kMostLimit;
  if (is_good) return {};
  return quote(text) + " is no number between 1 and " + std::to_string(HistoryQuery::kMostLimit);
}

class HistoryCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "history"; }
  [[nodiscard]] std::string summary() const override {
    return "List past broadcasts, also from before the broker restarted";
  }

  void declare(Options& options) override {
    declare_ago(options, "--since", "Only what started at most so long ago (2h, 1d). Default: all",
                since_);
    declare_ago(options, "--until", "Only what started longer ago than this. Default: all", until_);
    options.flag("--failed",
                 "Only broadcasts that are no success: not every backend acked, files still held, "
                 "backends unknown, or interrupted",
                 query_.failed);
    options.value("--service", "NAME", "Only broadcasts with a backend of this service",
                  [this](const std::string& text) {
                    query_.service = text;
                    return text.empty() || text.size() > BackendKey::kMaxServiceName
                               ? std::string("give the name of a service")
                               : std::string();
                  });
    options.value("--user", "USER", "Only what this user (name or number) asked for",
                  [this](const std::string& text) { return read_history_user(text, query_); });
    options.value("--limit", "N", "At most so many, the newest. Default: 100; the most is 1000",
                  [this](const std::string& text) { return read_limit(text, query_.limit); });
    options.flag("--own", "With the broker's own quiesces of idle backends", query_.own);
    options.flag("--refusals", "List processes that were refused, not broadcasts", query_.refusals);
    options.exclude("--refusals", "--failed");
    options.exclude("--refusals", "--service");
    options.exclude("--refusals", "--own");
    options.epilogue(
        "The newest come first. `musterctl result ID` shows the whole report of one. A broadcast\n"
        "that had not ended when the broker was killed is \"interrupted\": what is shown of it "
        "was\n"
        "known by then. VERDICT is what the kernel said where the release was verified, HOLD how "
        "a\n"
        "hold ended. Who asked is as the kernel had it at that time.\n"
        "\n"
        "Examples:\n"
        "  musterctl history --since 2h\n"
        "  musterctl history --failed --service zccache\n"
        "  musterctl history --user alice --json | jq -r '.broadcasts[].broadcast_id'\n");
  }

  int run(const Invocation& invocation) override {
    ControlClient client = make_client(invocation, true);
    ViewStyle style;
    style.paint = Paint(invocation.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    HistoryQuery query = query_;
    const auto before = [&](std::chrono::milliseconds ago) {
      return style.now_unix_ms -
             std::min(style.now_unix_ms - 1, static_cast<std::uint64_t>(ago.count()));
    };
    if (since_) query.since_unix_ms = before(*since_);
    if (until_) query.until_unix_ms = before(*until_);
    style.selective = query.since_unix_ms != 0 || query.until_unix_ms != 0 || query.failed ||
                      !query.service.empty() || query.uid || !query.user.empty();
    const HistoryPage page = client.history(query);
    invocation.console.out(invocation.common.json ? to_json(page) + '\n'
                           : query.refusals       ? show_refusals(page, style)
                                                  : show_history(page, style));
    return kAllAcked;
  }

 private:
  static void declare_ago(Options& options, const std::string& name, const std::string& help,
                          std::optional<std::chrono::milliseconds>& into) {
    options.value(name, "DURATION", help, [&into](const std::string& text) {
      ParsedDuration parsed = parse_duration(text, std::chrono::milliseconds(1), kLongestAgo);
      into = parsed.value;
      return std::move(parsed.problem);
    });
  }

  HistoryQuery query_;
  std::optional<std::chrono::milliseconds> since_;
  std::optional<std::chrono::milliseconds> until_;
};

}  // namespace

std::unique_ptr<Command> history_command() { return std::make_unique<HistoryCommand>(); }

}  // namespace muster::ctl
// NOLINTEND(concurrency-mt-unsafe)
