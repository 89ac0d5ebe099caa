// A broadcast's id as an operator writes it.
#pragma once

#include <charconv>
#include <string>

#include "muster/path.h"
#include "muster/registration.h"

namespace muster::ctl {

// Returns what is wrong with `text`, or nothing.
inline std::string read_broadcast_id(const std::string& text, BroadcastId& into) {
  const char* end = text.data() + text.size();
  const auto [read_to, error] = std::from_chars(text.data(), end, into);
  if (error == std::errc() && read_to == end && into != 0) return {};
  return quote(text) +
         " is no broadcast id: give the number that the broadcast or --detach printed";
}

}  // namespace muster::ctl
