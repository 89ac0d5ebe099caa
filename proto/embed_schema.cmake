# cmake -D INPUT=FILE -D OUTPUT=HEADER -P: the bytes of FILE as an array in a header.
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n" bytes "${bytes}")
file(WRITE "${OUTPUT}" "// The schema as a FileDescriptorSet. Generated.
#pragma once

namespace muster::v1 {

inline constexpr unsigned char kSchemaBytes[] = {
${bytes}};

}  // namespace muster::v1
")
