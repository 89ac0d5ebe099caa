// Holds, and what the kernel says of a release, as Protobuf messages and back: see values.h.
#pragma once

#include <string>
#include <vector>

#include "muster/broker_view.h"
#include "muster/holds.h"

namespace muster::v1 {
class HoldInfo;
class HoldList;
class HoldState;
class Verification;
}  // namespace muster::v1

namespace muster::wire {

void to_proto(const Verification& verification, v1::Verification& out);
[[nodiscard]] std::string from_proto(const v1::Verification& in, Verification& verification);
void to_proto(const HoldState& state, v1::HoldState& out);
[[nodiscard]] std::string from_proto(const v1::HoldState& in, HoldState& state);
void to_proto(const HoldInfo& hold, v1::HoldInfo& out);
[[nodiscard]] std::string from_proto(const v1::HoldInfo& in, HoldInfo& hold);
void to_proto(const std::vector<HoldInfo>& holds, v1::HoldList& out);
[[nodiscard]] std::string from_proto(const v1::HoldList& in, std::vector<HoldInfo>& holds);

}  // namespace muster::wire
