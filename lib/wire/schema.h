// The whole schema, as Protobuf's descriptors: for what prints messages by their names. The
// messages themselves are compiled without it.
#pragma once

namespace google::protobuf {
class DescriptorPool;
}

namespace muster::wire {

// Made when first asked for. Any thread.
[[nodiscard]] const google::protobuf::DescriptorPool& schema();

}  // namespace muster::wire
