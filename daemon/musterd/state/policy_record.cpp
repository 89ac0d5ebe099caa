#include "musterd/state/policy_record.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "muster/path.h"

#include "musterd/state/durable_file.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

constexpr std::string_view kPolicyHead = "muster policy 2\npid ";
constexpr std::string_view kRegisterRules = "\nregister ";
constexpr std::string_view kControlRules = "\ncontrol ";
constexpr std::string_view kConnectRules = "\nconnect ";

template <class Number>
bool take_number(std::string_view& text, std::string_view before, Number& number) {
  if (!text.starts_with(before)) return false;
  text.remove_prefix(before.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string format_policy_record(const PolicyRecord& record) {
  const RuleCounts& rules = record.rules;
  return fmt::format("{}{}{}{}{}{}{}{}\n", kPolicyHead, record.pid, kRegisterRules,
                     rules.registration, kControlRules, rules.control, kConnectRules,
                     rules.connect);
}

std::optional<PolicyRecord> parse_policy_record(std::string_view text) {
  PolicyRecord record;
  const bool good = take_number(text, kPolicyHead, record.pid) &&
                    take_number(text, kRegisterRules, record.rules.registration) &&
                    take_number(text, kControlRules, record.rules.control) &&
                    take_number(text, kConnectRules, record.rules.connect) && text == "\n" &&
                    record.pid > 0;
  return good ? std::optional(record) : std::nullopt;
}

std::string write_policy_record(const std::filesystem::path& directory,
                                const PolicyRecord& record) {
  return replace_durably(directory, std::string(kPolicyFileName), format_policy_record(record))
      .problem;
}

RunningPolicy policy_of_running_broker(const std::filesystem::path& directory) {
  const auto path = directory / kPolicyFileName;
  const auto failed = [&](const std::string& why) {
    return RunningPolicy{
        {},
        fmt::format("what a reload would change cannot be told: {} {}: is that the state directory "
                    "of a broker that runs?",
                    escape_bytes(path.native()), why)};
  };
  // Not waiting, whatever stands there.
  const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failed(failed_to("cannot be read", errno));
  std::array<char, 256> text{};
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return failed(failed_to("cannot be read", errno));
  const auto record = parse_policy_record({text.data(), static_cast<std::size_t>(got)});
  if (!record) return failed("is damaged, or of a broker of another version");
  if (::kill(record->pid, 0) != 0 && errno == ESRCH) {
    return failed(fmt::format("is of pid {}, which has ended", record->pid));
  }
  return {*record, {}};
}

}  // namespace muster::daemon
