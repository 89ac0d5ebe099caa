// Why a broker did not do what an operator asked. Pure values.
#pragma once

#include <string>
#include <string_view>

namespace muster {

struct ControlError {
  enum class Code {
    kInvalid,       // the request breaks a rule
    kDenied,        // policy
    kNotFound,      // no such broadcast
    kInterrupted,   // the broadcast is from before a restart of the broker
    kExpired,       // its report was kept as long as the configuration says
    kBusy,          // too many broadcasts in flight
    kShuttingDown,  // the broker goes down
    kKeyConflict,   // the operation key belongs to a different request
    kProtocol,      // malformed; the connection closes
    kTooLarge,      // the answer is over the lane's limit
  };

  Code code = Code::kInvalid;
  std::string message;  // one sentence: what is wrong, what would be right

  friend bool operator==(const ControlError&, const ControlError&) = default;
};

[[nodiscard]] std::string_view to_string(ControlError::Code code) noexcept;

}  // namespace muster
