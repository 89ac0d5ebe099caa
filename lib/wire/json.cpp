// The control lane's messages by Protobuf's JSON mapping.
#include "muster/json.h"

#include <memory>
#include <utility>

#include <google/protobuf/message_lite.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include "muster/v1/control.pb.h"
#include "muster/v1/history.pb.h"
#include "muster/v1/holders.pb.h"

#include "model/characters.h"
#include "wire/history.h"
#include "wire/holders.h"
#include "wire/holds.h"
#include "wire/protobuf.h"
#include "wire/schema.h"
#include "wire/views.h"

namespace muster {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com";

// As MessageToJsonString(), but with maps in the order of their keys.
std::string print(const std::string& message_name, const std::string& bytes) {
  namespace util = google::protobuf::util;
  static const std::unique_ptr<util::TypeResolver> kTypes(
      util::NewTypeResolverForDescriptorPool(kTypePrefix, &wire::schema()));
  util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  const std::string type = std::string(kTypePrefix) + '/' + message_name;
  std::string json;
  // Fails only for a type that is not in the pool or text that is not UTF-8: neither can be.
  const auto status = util::BinaryToJsonString(kTypes.get(), type, bytes, &json, options);
  return status.ok() ? visible_json(std::move(json)) : "{}";
}

template <typename Proto, typename Value>
std::string print_as(const Value& value) {
  Proto message;
  wire::to_proto(value, message);
  return print(message.GetTypeName(), wire::serialize(message));
}

}  // namespace

std::string to_json(const BroadcastReport& report) {
  return print(v1::BroadcastReport().GetTypeName(), wire::message_of(report, wire::Texts::kAll));
}

std::string to_json(const std::vector<BackendInfo>& backends) {
  return print_as<v1::BackendList>(backends);
}

std::string to_json(const BrokerStatus& status) { return print_as<v1::Status>(status); }
std::string to_json(const DryRun& dry_run) { return print_as<v1::DryRun>(dry_run); }
std::string to_json(const Event& event) {
  return print(v1::ControlEvent().GetTypeName(), wire::message_of(event));
}
std::string to_json(const PolicyExplanation& explanation) {
  return print_as<v1::PolicyExplanation>(explanation);
}
std::string to_json(const ControlError& error) { return print_as<v1::ControlError>(error); }
std::string to_json(const HolderScan& scan) { return print_as<v1::HolderScan>(scan); }
std::string to_json(const HoldInfo& hold) { return print_as<v1::HoldInfo>(hold); }
std::string to_json(const std::vector<HoldInfo>& holds) { return print_as<v1::HoldList>(holds); }
std::string to_json(const HistoryPage& page) { return print_as<v1::HistoryList>(page); }

}  // namespace muster
