// The history as Protobuf messages and back (see values.h), and what is read from the bytes of
// reports that it keeps.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "muster/history.h"

#include "model/report_rows.h"

namespace muster::v1 {
class GetHistory;
class HistoryList;
}  // namespace muster::v1

namespace muster::wire {

void to_proto(const HistoryQuery& query, v1::GetHistory& out);
[[nodiscard]] std::string from_proto(const v1::GetHistory& in, HistoryQuery& query);
void to_proto(const HistoryPage& page, v1::HistoryList& out);
[[nodiscard]] std::string from_proto(const v1::HistoryList& in, HistoryPage& page);

// What a history lists of a report.
struct ReportDigest {
  HistoryEntry entry;                 // without the user's name
  bool own = false;                   // a quiesce of an idle backend
  std::vector<std::string> services;  // of its backends, ascending, each once
};
// Of the bytes of a v1.BroadcastReport. Empty when it went well, else a sentence.
[[nodiscard]] std::string digest_report(std::string_view report, ReportDigest& digest);

// The bytes of the v1.BroadcastReport in a payload that payload_of() made; empty where an error
// stands in its place.
[[nodiscard]] std::string_view report_in(std::string_view payload);
// The other way round.
[[nodiscard]] std::string payload_of_report(std::string_view report);
// The bytes of the same report, with BroadcastReport::interrupted.
[[nodiscard]] std::string interrupted_report(std::string report);
// The bytes of the same report after a change of its hold: what is set in `change` counts, its
// violations are added.
[[nodiscard]] std::string report_with_hold(std::string report, const HoldState& change);
// The bytes of a report of which only its head is known.
[[nodiscard]] std::string report_of_head(const ReportHead& head);

}  // namespace muster::wire
