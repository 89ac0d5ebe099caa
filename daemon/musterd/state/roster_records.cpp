// The records of the roster's journal, as bytes and back.
#include <memory>
#include <utility>
#include <variant>

#include "musterd/state/journal.h"
#include "musterd/state/roster.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::daemon {
namespace {

// The first number of a record.
constexpr std::uint64_t kEntryRecord = 1;
constexpr std::uint64_t kGoneRecord = 2;
// A broker of before counts these as unknown, and goes on.
constexpr std::uint64_t kQuiescedRecord = 3;
constexpr std::uint64_t kRefusedRecord = 4;  // a kEntryRecord of one that was refused

// In a kRefusedRecord.
constexpr std::uint64_t kOverQuota = 1;
constexpr std::uint64_t kKeyTaken = 2;

std::string key_alone(const BackendKey& key) {
  Registration registration;
  registration.key = key;
  return wire::encode(0, registration);
}

void put_quiesce(std::string& record, const core::Quiesce& quiesce) {
  put_number(record, quiesce.broadcast);
  put_number(record, static_cast<std::uint64_t>(quiesce.reason));
  put_number(record, quiesce.stands_for_more ? 1 : 0);
  put_number(record, quiesce.since_unix_ms);
  put_number(record, quiesce.by ? 1 : 0);
  if (!quiesce.by) return;
  put_number(record, quiesce.by->uid);
  put_number(record, static_cast<std::uint64_t>(quiesce.by->pid));
  put_text(record, quiesce.by->command);
}

std::optional<core::Quiesce> read_quiesce(RecordReader& reader) {
  core::Quiesce quiesce;
  quiesce.broadcast = reader.number();
  const std::uint64_t reason = reader.number();
  if (reason > static_cast<std::uint64_t>(QuiesceReason::kMaintenance)) return std::nullopt;
  quiesce.reason = static_cast<QuiesceReason>(reason);
  quiesce.stands_for_more = reader.number() != 0;
  quiesce.since_unix_ms = reader.number();
  if (reader.number() != 0) {
    Operator by;
    by.uid = static_cast<uid_t>(reader.number());
    by.pid = static_cast<pid_t>(reader.number());
    by.command = reader.text();
    quiesce.by = std::make_shared<const Operator>(std::move(by));
  }
  if (!reader.good() || quiesce.broadcast == 0) return std::nullopt;
  return quiesce;
}

// In the order in which they were acked.
void put_quiesces(std::string& record, const core::Quiesces& quiesces) {
  put_number(record, quiesces.ended() ? 1 : 0);
  put_number(record, quiesces.empty() ? 0 : quiesces.older().size() + 1);
  if (quiesces.empty()) return;
  for (const core::Quiesce& quiesce : quiesces.older()) put_quiesce(record, quiesce);
  put_quiesce(record, quiesces.newest());
}

std::optional<core::Quiesces> read_quiesces(RecordReader& reader) {
  core::Quiesces quiesces;
  const bool ended = reader.number() != 0;
  const std::uint64_t count = reader.number();
  if (count > core::Quiesces::kMost || (ended && count == 0)) return std::nullopt;
  if (count != 0) quiesces.reserve();
  for (std::uint64_t i = 0; i < count; ++i) {
    auto quiesce = read_quiesce(reader);
    if (!quiesce) return std::nullopt;
    quiesces.add(*std::move(quiesce));
  }
  if (ended) quiesces.end_while_away();
  if (!reader.good()) return std::nullopt;
  return quiesces;
}

std::optional<Registration> decode_registration(std::string_view frame) {
  const wire::FrameView view = wire::next_frame(frame, wire::kMaxBackendBody);
  if (view.status != wire::FrameView::Status::kComplete || view.bytes != frame.size()) {
    return std::nullopt;
  }
  wire::BackendFrameDecoder decoder;
  wire::BackendFrame decoded;
  if (!decoder.decode(view.body, decoded).empty()) return std::nullopt;
  auto* registration = std::get_if<Registration>(&decoded.message);
  if (registration == nullptr) return std::nullopt;
  return std::move(*registration);
}

}  // namespace

std::string encode_roster_change(const RosterChange& change) {
  const RosterEntry& entry = change.entry;
  std::string record;
  if (change.kind == RosterChange::Kind::kGone) {
    put_number(record, kGoneRecord);
    put_text(record, key_alone(entry.registration.key));
  } else if (change.kind == RosterChange::Kind::kQuiesced) {
    put_number(record, kQuiescedRecord);
    put_quiesces(record, entry.quiesced);
    put_text(record, key_alone(entry.registration.key));
  } else {
    const bool is_refused = is_refusal(entry.refused);
    put_number(record, is_refused ? kRefusedRecord : kEntryRecord);
    if (is_refused) {
      put_number(record, entry.refused == Cause::kRefusedQuota ? kOverQuota : kKeyTaken);
    }
    put_number(record, entry.uid);
    put_number(record, entry.gid);
    put_number(record, static_cast<std::uint64_t>(entry.pid));
    put_number(record, entry.start_ticks);
    put_text(record, entry.boot_id);
    put_text(record, wire::encode(0, entry.registration));
    put_number(record, entry.namespaces.pid);
    put_number(record, entry.namespaces.time);
  }
  return record;
}

std::optional<RosterChange> decode_roster_change(std::string_view record) {
  RecordReader reader(record);
  RosterChange change;
  const std::uint64_t kind = reader.number();
  if (kind == kGoneRecord) {
    change.kind = RosterChange::Kind::kGone;
  } else if (kind == kQuiescedRecord) {
    change.kind = RosterChange::Kind::kQuiesced;
    auto quiesces = read_quiesces(reader);
    if (!quiesces) return std::nullopt;
    change.entry.quiesced = *std::move(quiesces);
  } else if (kind != kEntryRecord && kind != kRefusedRecord) {
    return std::nullopt;
  } else {
    if (kind == kRefusedRecord) {
      const std::uint64_t why = reader.number();
      if (why != kOverQuota && why != kKeyTaken) return std::nullopt;
      change.entry.refused = why == kOverQuota ? Cause::kRefusedQuota : Cause::kRefusedKey;
    }
    change.entry.uid = static_cast<uid_t>(reader.number());
    change.entry.gid = static_cast<gid_t>(reader.number());
    change.entry.pid = static_cast<pid_t>(reader.number());
    change.entry.start_ticks = reader.number();
    change.entry.boot_id = reader.text();
  }
  auto registration = decode_registration(reader.text());
  const bool has_process = change.kind == RosterChange::Kind::kRegistered;
  if (has_process && reader.good() && !reader.at_end()) {  // a broker of before wrote none
    change.entry.namespaces.pid = reader.number();
    change.entry.namespaces.time = reader.number();
  }
  if (!reader.at_end() || !registration) return std::nullopt;
  change.entry.registration = std::move(*registration);
  return change;
}

}  // namespace muster::daemon
