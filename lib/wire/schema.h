// The whole schema, as Protobuf's descriptors: for what prints messages by their names. The
// messages themselves are compiled without it.
#pragma once

#include <stdexcept>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "muster/v1/schema_bytes.h"

namespace muster::wire {

// Made when first asked for. Any thread.
[[nodiscard]] inline const google::protobuf::DescriptorPool& schema() {
  struct Pool {
    Pool() {
      google::protobuf::FileDescriptorSet files;
      bool good = files.ParseFromArray(v1::kSchemaBytes, sizeof(v1::kSchemaBytes));
      // Those that others import come first.
      for (const auto& file : files.file()) good = good && pool.BuildFile(file) != nullptr;
      if (!good) throw std::logic_error("the schema that was compiled in is broken");
    }
    google::protobuf::DescriptorPool pool;
  };
  static const Pool kPool;
  return kPool.pool;
}

}  // namespace muster::wire
