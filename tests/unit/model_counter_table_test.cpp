// The table of counters, and that the wire, JSON and `musterctl status` have what stands in it.
#include <map>
#include <string>

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "muster/json.h"

#include "model/counter_table.h"
#include "musterctl/view_text.h"
#include "wire/control_lane.h"
#include "wire/schema.h"

namespace muster {
namespace {

// Each counter with a number of its own, of several lengths on the wire.
BrokerStatus counted_status() {
  BrokerStatus status;
  std::uint64_t next = 1'000'001;
  for (const CounterRow& row : all_counters()) status.counters.*row.value = next++;
  return status;
}

TEST(CounterTable, HasTheFieldsOfTheSchema) {
  const auto* type = wire::schema().FindMessageTypeByName("muster.v1.Counters");
  ASSERT_NE(type, nullptr);
  std::map<int, std::string> schema;
  for (int i = 0; i < type->field_count(); ++i) {
    schema[type->field(i)->number()] = type->field(i)->name();
    EXPECT_EQ(type->field(i)->type(), google::protobuf::FieldDescriptor::TYPE_UINT64);
  }
  std::map<int, std::string> table;
  for (const CounterRow& row : all_counters()) {
    table[row.field] = row.name;
    EXPECT_FALSE(row.unit.empty()) << row.name;
    EXPECT_TRUE(row.help.ends_with('.')) << row.name;
  }
  EXPECT_EQ(table, schema);
}

TEST(CounterTable, EachCounterArrivesAsItself) {
  BrokerStatus status = counted_status();
  status.counters.acks = ~std::uint64_t{0};
  status.counters.failures = 0;
  const std::string bytes = wire::encode(9, wire::ControlResponse(status));
  std::optional<wire::ControlAnswerFrame> out;
  ASSERT_EQ(
      wire::ControlAnswerDecoder().decode(std::string_view(bytes).substr(wire::kHeaderBytes), out),
      "");
  const auto& response = std::get<wire::ControlResponse>(out->message);
  EXPECT_TRUE(std::get<BrokerStatus>(response).counters == status.counters);
}

TEST(CounterTable, JsonAndStatusHaveEachCounterOnce) {
  const BrokerStatus status = counted_status();
  const std::string json = to_json(status);
  const std::string text = ctl::show_status(status, {ctl::Paint(false)});
  for (const CounterRow& row : all_counters()) {
    const std::string value = std::to_string(status.counters.*row.value);
    EXPECT_NE(json.find('"' + std::string(row.name) + "\":\"" + value + '"'), std::string::npos)
        << row.name << " in " << json;
    const auto found = text.find(value + ' ' + std::string(row.words));
    EXPECT_NE(found, std::string::npos) << row.name << " in " << text;
    EXPECT_EQ(text.find(value, found + 1), std::string::npos) << row.name << " in " << text;
  }
}

}  // namespace
}  // namespace muster
