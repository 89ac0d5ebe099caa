#include "wire/serialize.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>

namespace muster::wire {

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
