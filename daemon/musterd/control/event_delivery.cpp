#include "musterd/control/event_delivery.h"

#include <utility>
#include <variant>

#include "broker/broker_server.h"
#include "wire/control_lane.h"

namespace muster::daemon {
namespace {

struct ChargedBytes {
  ChargedBytes(std::string b, AnswerAccount a) : bytes(std::move(b)), account(std::move(a)) {
    account->used += bytes.size();
  }
  ChargedBytes(const ChargedBytes&) = delete;
  ChargedBytes& operator=(const ChargedBytes&) = delete;
  ~ChargedBytes() { account->used -= bytes.size(); }

  const std::string bytes;
  const AnswerAccount account;
};

}  // namespace

net::SharedBytes charged_bytes(std::string bytes, const AnswerAccount& account) {
  if (account == nullptr) return std::make_shared<const std::string>(std::move(bytes));
  if (!account->has_room_for(bytes.size())) return nullptr;
  const auto charged = std::make_shared<const ChargedBytes>(std::move(bytes), account);
  return {charged, &charged->bytes};
}

const std::string& EventDelivery::payload() {
  if (!payload_) payload_ = wire::payload_of(event_);
  return *payload_;
}

net::SharedBytes EndDelivery::report(uid_t uid, const AnswerAccount& account) {
  const auto known = reports_.find(uid);
  if (known != reports_.end()) return known->second;
  (void)payload();
  return reports_.emplace(uid, charged_bytes(*report_, account)).first->second;
}

bool EndDelivery::payload() {
  if (report_ != nullptr) return !is_error_;
  const auto found = std::as_const(server_.core()).report(broadcast_, server_.now());
  const auto* rows = std::get_if<core::BroadcastRows>(&found);
  std::string bytes = rows != nullptr ? wire::payload_of(*rows, keys_)
                                      : wire::payload_of(std::get<ControlError>(found));
  is_error_ = rows == nullptr;
  report_ = std::make_shared<const std::string>(std::move(bytes));
  return !is_error_;
}

}  // namespace muster::daemon
