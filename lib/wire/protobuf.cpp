#include "wire/protobuf.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

namespace muster::wire {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

bool count(CodedInputStream& in, const Shape& shape, std::size_t& left);

// The contents of a field of known length: a message that is looked into, or bytes.
bool count_contents(CodedInputStream& in, const Shape* message, std::size_t& left) {
  int length = 0;
  if (!in.ReadVarintSizeAsInt(&length)) return false;
  if (message == nullptr) return in.Skip(length);
  // An outer limit that ends earlier stays in force, and then the message is cut off.
  if (in.BytesUntilLimit() >= 0 && length > in.BytesUntilLimit()) return false;
  const auto limit = in.PushLimit(length);
  const bool good = count(in, *message, left);
  in.PopLimit(limit);
  return good;
}

// The schema is not recursive, so neither is this, much. Groups are not matched: Protobuf does
// that.
bool count(CodedInputStream& in, const Shape& shape, std::size_t& left) {
  int open_groups = 0;
  while (const std::uint32_t tag = in.ReadTag()) {
    if (left == 0) return false;
    --left;
    std::uint64_t number = 0;
    std::uint32_t fixed32 = 0;
    bool good = true;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT:
        good = in.ReadVarint64(&number);
        break;
      case WireFormatLite::WIRETYPE_FIXED64:
        good = in.ReadLittleEndian64(&number);
        break;
      case WireFormatLite::WIRETYPE_FIXED32:
        good = in.ReadLittleEndian32(&fixed32);
        break;
      case WireFormatLite::WIRETYPE_START_GROUP:
        ++open_groups;
        break;
      case WireFormatLite::WIRETYPE_END_GROUP:
        --open_groups;
        break;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
        const int field = WireFormatLite::GetTagFieldNumber(tag);
        good = count_contents(in, open_groups > 0 ? nullptr : shape.inside(field), left);
        break;
      }
      default:
        good = false;
    }
    if (!good) return false;
  }
  return in.ConsumedEntireMessage();
}

bool is_set_twice(CodedInputStream& in, const Shape& shape) {
  int members = 0;
  while (const std::uint32_t tag = in.ReadTag()) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const bool has_length =
        WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    const Shape::Field* const member = has_length ? shape.member(number) : nullptr;
    if (member == nullptr) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      continue;
    }
    if (++members > 1) return true;
    int length = 0;
    if (!in.ReadVarintSizeAsInt(&length)) return false;
    if (!member->inside->has_oneof()) {
      if (!in.Skip(length)) return false;
      continue;
    }
    const auto limit = in.PushLimit(length);
    if (is_set_twice(in, *member->inside)) return true;
    if (!in.ConsumedEntireMessage()) return false;
    in.PopLimit(limit);
  }
  return false;
}

}  // namespace

std::string set_twice(const Shape& shape, std::string_view bytes) {
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  if (!is_set_twice(in, shape)) return {};
  return "the payload sets two fields of which exactly one must be set";
}

bool parse(google::protobuf::MessageLite& message, std::string_view bytes) {
  const google::protobuf::LogSilencer silence;
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::string parse_payload(google::protobuf::MessageLite& message, std::string_view payload) {
  if (parse(message, payload)) return {};
  return "the payload is not a " + message.GetTypeName() +
         ": it is cut off, malformed, or has text that is not UTF-8";
}

bool may_be_parsed(const Shape& shape, std::string_view bytes) {
  if (bytes.size() <= kLongMessage) return true;
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  std::size_t left = kMaxFieldsOfLongMessage;
  return count(in, shape, left);
}

void serialize(const google::protobuf::MessageLite& message, std::size_t bytes, char* out) {
  google::protobuf::io::ArrayOutputStream stream(out, static_cast<int>(bytes));
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&coded);
}

std::string serialize(const google::protobuf::MessageLite& message) {
  std::string out(message.ByteSizeLong(), '\0');
  serialize(message, out.size(), out.data());
  return out;
}

}  // namespace muster::wire
