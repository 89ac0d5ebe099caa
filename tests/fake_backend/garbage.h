// What no peer should ever send: whole frames and bytes made by hand, each against one rule of
// the wire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::fake {

// bytes     no framing at all
// framing   a good ack with framing version 2
// body      a good header, a body that is no Frame
// length    a header that announces one byte more than the lane allows
// huge      a header that announces 4 GiB
// lane      an ack that says it belongs to the control lane
// version   an ack in an envelope of version 2
// encoding  an ack that says it is compressed
// kind      an ack in a REQUEST frame
// message   a RESPONSE frame without a message
// register  a second registration on a registered connection
[[nodiscard]] bool is_garbage_kind(std::string_view kind);

// REQUIRES: is_garbage_kind(kind). `registration` is the frame that the connection began with.
[[nodiscard]] std::string garbage(std::string_view kind, std::uint64_t request_id,
                                  const std::string& registration);

}  // namespace muster::fake
