#include "musterctl/errors.h"

#include "muster/json.h"
#include "muster/path.h"

#include "musterctl/exit_status.h"
#include "musterctl/json_object.h"

namespace muster::ctl {
namespace {

void say(Console& console, const std::string& message) {
  console.err("musterctl: " + message + '\n');
}

}  // namespace

void report_error(Console& console, bool json, std::string_view code, const std::string& message) {
  if (!json) return say(console, message);
  std::string error = JsonObject().text("code", code).text("message", message).line();
  error.pop_back();
  console.out(JsonObject().raw("error", error).line());
}

int report_failure(Console& console, bool json, const ControlFailure& failure) {
  const ControlError& error = failure.error();
  if (failure.kind() == ControlFailure::Kind::kUnreachable) {
    report_error(console, json, "UNREACHABLE", error.message);
    return kUnreachable;
  }
  if (failure.kind() == ControlFailure::Kind::kStopped) {
    say(console, "the reader of its output has gone");
    return kOutputLost;
  }
  if (json) {
    console.out(JsonObject().raw("error", to_json(error)).line());
  } else {
    say(console, "the broker refused (" + std::string(to_string(error.code)) +
                     "): " + escape_controls(error.message));
  }
  return kRefused;
}

}  // namespace muster::ctl
