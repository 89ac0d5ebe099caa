// The control lane (0xFB02): frames to values and back. See proto/muster/v1/control.proto.
//
// Decoders keep their Protobuf objects, so each belongs to one thread; nothing throws on any input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "muster/access.h"
#include "muster/broker_view.h"
#include "muster/control_error.h"
#include "muster/history.h"
#include "muster/holders.h"

#include "model/report_rows.h"
#include "wire/backend_lane.h"  // Cancel
#include "wire/framing.h"

namespace muster::wire {

inline constexpr std::uint32_t kControlLane = 0xFB02;

// --- requests

struct Ping {
  friend bool operator==(const Ping&, const Ping&) = default;
};
struct StartBroadcast {
  BroadcastRequest request;  // trace context travels in the envelope
  bool detach = false;
  bool dry_run = false;
  bool events = false;

  friend bool operator==(const StartBroadcast&, const StartBroadcast&) = default;
};
struct GetReport {
  BroadcastId id = 0;  // 0: the newest
  bool wait = false;

  friend bool operator==(const GetReport&, const GetReport&) = default;
};
struct CancelBroadcast {
  BroadcastId id = 0;

  friend bool operator==(const CancelBroadcast&, const CancelBroadcast&) = default;
};
struct ListBackends {
  Selection selection;

  friend bool operator==(const ListBackends&, const ListBackends&) = default;
};
struct GetStatus {
  friend bool operator==(const GetStatus&, const GetStatus&) = default;
};
struct Watch {
  friend bool operator==(const Watch&, const Watch&) = default;
};

// Ends quiesces.
struct Resume {
  BroadcastId id = 0;   // that made them; 0: any
  Selection selection;  // of the backends that are quiesced; empty: all

  friend bool operator==(const Resume&, const Resume&) = default;
};
// Removes a dead or lost backend from the list; or, with `lost_roster`, says that nobody is missed
// of those who stood in a roster that could not be read.
struct ForgetBackend {
  BackendKey key;
  bool lost_roster = false;

  friend bool operator==(const ForgetBackend&, const ForgetBackend&) = default;
};

// Who has files in use.
struct FindHolders {
  std::string path;
  std::uint64_t mount_namespace = 0;  // inode of the one that `path` is meant in

  friend bool operator==(const FindHolders&, const FindHolders&) = default;
};

struct ListHolds {
  friend bool operator==(const ListHolds&, const ListHolds&) = default;
};
struct EndHold {
  HoldId id = 0;

  friend bool operator==(const EndHold&, const EndHold&) = default;
};
// From now on the hold belongs to this connection, or to none.
struct KeepHold {
  HoldId id = 0;
  bool detach = false;
  std::optional<std::uint64_t> children_after = std::nullopt;  // see the schema

  friend bool operator==(const KeepHold&, const KeepHold&) = default;
};

struct ControlRequestFrame {
  std::uint64_t request_id = 0;
  std::variant<Ping, StartBroadcast, GetReport, CancelBroadcast, ListBackends, GetStatus, Watch,
               PolicyQuestion, Resume, ForgetBackend, FindHolders, ListHolds, EndHold, KeepHold,
               HistoryQuery, Cancel>
      message;
};

// --- responses and events

struct Pong {
  std::string broker_version;
  pid_t pid = 0;

  friend bool operator==(const Pong&, const Pong&) = default;
};
struct BroadcastAccepted {
  BroadcastId id = 0;
  std::uint32_t targets = 0;
  std::uint32_t skipped_dead = 0;
  bool joined = false;
  bool backends_unknown = false;

  friend bool operator==(const BroadcastAccepted&, const BroadcastAccepted&) = default;
};
struct CancelAccepted {
  std::uint32_t cancelled_targets = 0;

  friend bool operator==(const CancelAccepted&, const CancelAccepted&) = default;
};
struct Watching {
  friend bool operator==(const Watching&, const Watching&) = default;
};

struct ResumeAccepted {
  std::uint32_t resumed = 0;
  std::uint32_t cannot_resume = 0;   // still quiesced: they have to be restarted
  std::uint32_t away = 0;            // not connected: they are told when they return
  std::uint32_t still_quiesced = 0;  // by another broadcast

  friend bool operator==(const ResumeAccepted&, const ResumeAccepted&) = default;
};
struct Forgotten {
  friend bool operator==(const Forgotten&, const Forgotten&) = default;
};

using ControlResponse = std::variant<ControlError, Pong, BroadcastAccepted, BroadcastReport, DryRun,
                                     CancelAccepted, std::vector<BackendInfo>, BrokerStatus,
                                     Watching, PolicyExplanation, ResumeAccepted, Forgotten,
                                     HolderScan, std::vector<HoldInfo>, HoldInfo, HistoryPage>;

struct ControlAnswerFrame {
  std::uint64_t request_id = 0;
  std::variant<ControlResponse, Event> message;
};

// The broker's side. decode(): empty when it went well, else the sentence to refuse with.
class ControlRequestDecoder {
 public:
  ControlRequestDecoder();
  ~ControlRequestDecoder();
  ControlRequestDecoder(const ControlRequestDecoder&) = delete;
  ControlRequestDecoder& operator=(const ControlRequestDecoder&) = delete;

  [[nodiscard]] std::string decode(std::string_view body, ControlRequestFrame& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// The operator's side.
class ControlAnswerDecoder {
 public:
  ControlAnswerDecoder();
  ~ControlAnswerDecoder();
  ControlAnswerDecoder(const ControlAnswerDecoder&) = delete;
  ControlAnswerDecoder& operator=(const ControlAnswerDecoder&) = delete;

  // Nothing in `out` is touched when it fails.
  [[nodiscard]] std::string decode(std::string_view body, std::optional<ControlAnswerFrame>& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// The bytes of backends' keys, as the reports of one broker have them: a report names each backend
// twice, and many reports name the same. Has room for the backends of the largest report, up to a
// bound; whatever does not fit is written each time. One thread.
class ReportKeys {
 public:
  // What was found before may make room for what comes.
  void begin_report() noexcept { ++report_; }
  // The bytes for that incarnation's key, made by `write` where they are not here. Good until the
  // next call.
  template <class Write>
  [[nodiscard]] std::string_view find(Incarnation incarnation, Write&& write) {
    Slot& slot = slots_[incarnation & last_slot_];
    if (slot.incarnation == incarnation && slot.size != 0) {
      slot.report = report_;
      return {slot.bytes.data(), slot.size};
    }
    const std::string_view written = write();
    keep(incarnation, written);
    return written;
  }

 private:
  static constexpr std::size_t kMost = 16'384;
  struct Slot {
    Incarnation incarnation = 0;
    std::uint32_t report = 0;  // the last that named it
    std::uint8_t size = 0;     // 0: the slot is free
    std::array<char, 83> bytes{};
  };

  void keep(Incarnation incarnation, std::string_view written);

  std::vector<Slot> slots_ = std::vector<Slot>(64);  // by the low bits of the incarnation
  std::size_t last_slot_ = 63;                       // a power of two, less one
  std::uint32_t report_ = 0;
};

// Whole frames, header included.
[[nodiscard]] std::string encode(const ControlRequestFrame& frame);
// An answer that would be over kMaxControlBody becomes ControlError kTooLarge; a report is first
// tried without details and notes.
[[nodiscard]] std::string encode(std::uint64_t request_id, const ControlResponse& response);
// The answer that is the BroadcastReport of these rows.
[[nodiscard]] std::string encode(std::uint64_t request_id, const ReportSource& report,
                                 ReportKeys& keys);

// --- an answer or event for several requests: its payload is made once, and stands between the
// two parts of a frame that each request has of its own.
// As encode() of the report makes it for any request.
[[nodiscard]] std::string payload_of(const ReportSource& report, ReportKeys& keys);
[[nodiscard]] std::string payload_of(const ControlError& error);
[[nodiscard]] std::string payload_of(const HistoryPage& page);
[[nodiscard]] std::string payload_of(const Event& event);
[[nodiscard]] FrameAround answer_around(std::uint64_t request_id, std::size_t payload_bytes);
[[nodiscard]] FrameAround event_around(std::uint64_t request_id, std::size_t payload_bytes);

// A list of backends, written in parts: the parts, one after another, are the list. What it is
// framed with; nothing when it is too large for the lane, which too_large_list() then says.
[[nodiscard]] std::string list_part(const std::vector<BackendInfo>& backends);
[[nodiscard]] std::optional<FrameAround> list_around(std::uint64_t request_id,
                                                     std::size_t list_bytes);
[[nodiscard]] ControlError too_large_list(std::size_t list_bytes);

[[nodiscard]] std::string encode(std::uint64_t request_id, const Event& event);

}  // namespace muster::wire
