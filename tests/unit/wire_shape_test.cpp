// The shapes by which fields are counted are those of the schema.
#include <string>

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "wire/protobuf.h"
#include "wire/schema.h"

namespace muster::wire {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

void expect_shape_of(const Descriptor& type, const Shape& shape, bool is_looked_into) {
  std::size_t messages = 0;
  ASSERT_LE(type.real_oneof_decl_count(), 1) << type.full_name() << ": a shape has one oneof";
  EXPECT_TRUE(is_looked_into || type.real_oneof_decl_count() == 0)
      << type.full_name() << ": set_twice() does not find its oneof";
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const Shape* const inside = shape.inside(field.number());
    const bool is_message = field.type() == FieldDescriptor::TYPE_MESSAGE;
    EXPECT_EQ(inside != nullptr, is_message) << field.full_name() << " (field " << field.number()
                                             << "): see lib/wire/control_requests.cpp";
    EXPECT_EQ(shape.member(field.number()) != nullptr, field.real_containing_oneof() != nullptr)
        << field.full_name();
    if (!is_message || inside == nullptr) continue;
    ++messages;
    const bool is_member = field.real_containing_oneof() != nullptr;
    expect_shape_of(*field.message_type(), *inside, is_looked_into && is_member);
  }
  EXPECT_EQ(shape.messages.size(), messages) << type.full_name() << " has no such field any more";
}

void expect_shape_of(const std::string& name, const Shape& shape) {
  const Descriptor* const type = schema().FindMessageTypeByName("muster.v1." + name);
  ASSERT_NE(type, nullptr);
  expect_shape_of(*type, shape, true);
}

TEST(WireShape, AControlRequestHasTheShapeOfItsSchema) {
  expect_shape_of("ControlRequest", control_request_shape());
}

TEST(WireShape, AMessageOfABackendHasTheShapeOfItsSchema) {
  expect_shape_of("BackendMessage", backend_message_shape());
}

TEST(WireShape, AnEnvelopeHasNoMessageInIt) { expect_shape_of("Frame", kPlainShape); }

}  // namespace
}  // namespace muster::wire
