#include "wire/holders.h"

#include <memory>

#include "muster/path.h"
#include "muster/text.h"
#include "muster/v1/holders.pb.h"

#include "wire/protobuf.h"
#include "wire/values.h"

namespace muster::wire {
namespace {

constexpr EnumTable<HeldBy, v1::Held::Kind, kHeldByKinds> kHeldKinds{{
    {HeldBy::kDescriptor, v1::Held::DESCRIPTOR},
    {HeldBy::kPathDescriptor, v1::Held::PATH_DESCRIPTOR},
    {HeldBy::kMapping, v1::Held::MAPPING},
    {HeldBy::kExecutable, v1::Held::EXECUTABLE},
    {HeldBy::kWorkingDirectory, v1::Held::WORKING_DIRECTORY},
    {HeldBy::kRootDirectory, v1::Held::ROOT_DIRECTORY},
    {HeldBy::kRingFile, v1::Held::RING_FILE},
    {HeldBy::kBoundSocket, v1::Held::BOUND_SOCKET},
    {HeldBy::kInFlight, v1::Held::IN_FLIGHT},
    {HeldBy::kLoopDevice, v1::Held::LOOP_DEVICE},
    {HeldBy::kSwapFile, v1::Held::SWAP_FILE},
    {HeldBy::kOverlayLayer, v1::Held::OVERLAY_LAYER},
    {HeldBy::kMount, v1::Held::MOUNT},
    {HeldBy::kNfsExport, v1::Held::NFS_EXPORT},
}};

void put(const LeaseResult& leases, v1::LeaseResult& out) {
  out.set_files(leases.files);
  out.set_proven(leases.proven);
  out.set_busy(leases.busy);
  out.set_refused(leases.refused);
  out.set_busy_example(escape_bytes(leases.busy_example));
  if (out.busy_example() != leases.busy_example) out.set_busy_example_bytes(leases.busy_example);
  out.set_refused_why(to_utf8(leases.refused_why));
  out.set_incomplete(!leases.complete);
  out.set_incomplete_why(to_utf8(leases.incomplete_why));
}

const std::string& bytes_of(const std::string& text, const std::string& bytes) {
  return bytes.empty() ? text : bytes;
}

LeaseResult leases_of(const v1::LeaseResult& in) {
  LeaseResult leases;
  leases.files = in.files();
  leases.proven = in.proven();
  leases.busy = in.busy();
  leases.refused = in.refused();
  leases.busy_example = bytes_of(in.busy_example(), in.busy_example_bytes());
  leases.refused_why = in.refused_why();
  leases.complete = !in.incomplete();
  leases.incomplete_why = in.incomplete_why();
  return leases;
}

}  // namespace

void to_proto(const Holder& holder, v1::Holder& out) {
  out.set_pid(holder.pid);
  out.set_started(holder.started);
  out.set_uid(holder.uid);
  out.set_command(to_utf8(holder.command));
  out.set_unit(to_utf8(holder.unit));
  if (holder.unit_user) out.set_unit_user(*holder.unit_user);
  out.set_object(escape_bytes(holder.object));
  if (out.object() != holder.object) out.set_object_bytes(holder.object);
  out.set_inside(holder.inside);
  for (const Held& one : holder.held) {
    v1::Held& held = *out.add_held();
    held.set_kind(proto_of(kHeldKinds, one.kind));
    held.set_count(one.count);
  }
  out.set_example(escape_bytes(holder.example));
  if (out.example() != holder.example) out.set_example_bytes(holder.example);
  out.set_deleted(holder.deleted);
  out.set_possibly(holder.possibly);
  if (holder.backend) to_proto(*holder.backend, *out.mutable_backend());
}

std::string from_proto(const v1::Holder& in, Holder& holder) {
  holder.pid = in.pid();
  holder.started = in.started();
  holder.uid = in.uid();
  holder.command = in.command();
  holder.unit = in.unit();
  if (in.has_unit_user()) holder.unit_user = in.unit_user();
  holder.object = bytes_of(in.object(), in.object_bytes());
  holder.inside = in.inside();
  for (const v1::Held& one : in.held()) {
    Held held;
    auto problem = value_of(kHeldKinds, "a holder's kind", one.kind(), held.kind);
    if (!problem.empty()) return problem;
    held.count = one.count();
    holder.held.push_back(held);
  }
  holder.example = bytes_of(in.example(), in.example_bytes());
  holder.deleted = in.deleted();
  holder.possibly = in.possibly();
  return in.has_backend() ? from_proto(in.backend(), holder.backend.emplace()) : std::string();
}

void to_proto(const HolderScan& scan, v1::HolderScan& out) {
  out.set_path(escape_bytes(scan.prefix));
  if (out.path() != scan.prefix) out.set_path_bytes(scan.prefix);
  out.set_problem(to_utf8(scan.problem));
  out.set_verdict(proto_of(kVerdicts, scan.verdict));
  for (const Holder& one : scan.holders) to_proto(one, *out.add_holders());
  out.set_more_holders(scan.more_holders);
  for (const Unseen& one : scan.unseen) {
    v1::Unseen& unseen = *out.add_unseen();
    unseen.set_pid(one.pid);
    unseen.set_uid(one.uid);
    unseen.set_command(to_utf8(one.command));
    unseen.set_what(to_utf8(one.what));
  }
  out.set_more_unseen(scan.more_unseen);
  put(scan.leases, *out.mutable_leases());
  out.set_processes(scan.processes);
  out.set_descriptors(scan.descriptors);
  out.set_at_unix_ms(scan.at_unix_ms);
  out.set_took_us(scan.took_us);
}

std::string from_proto(const v1::HolderScan& in, HolderScan& scan) {
  scan.prefix = bytes_of(in.path(), in.path_bytes());
  scan.problem = in.problem();
  // A verdict of a newer version is one that nobody knows here.
  scan.verdict = value_or(kVerdicts, in.verdict(), HolderVerdict::kUnknown);
  for (const v1::Holder& one : in.holders()) {
    if (auto problem = from_proto(one, scan.holders.emplace_back()); !problem.empty())
      return problem;
  }
  scan.more_holders = in.more_holders();
  for (const v1::Unseen& one : in.unseen()) {
    scan.unseen.push_back({one.pid(), one.uid(), one.command(), one.what()});
  }
  scan.more_unseen = in.more_unseen();
  scan.leases = leases_of(in.leases());
  scan.processes = in.processes();
  scan.descriptors = in.descriptors();
  scan.at_unix_ms = in.at_unix_ms();
  scan.took_us = in.took_us();
  // Whoever says "clear" has nothing to show against it.
  const bool is_contradicted = !scan.problem.empty() || !scan.holders.empty() ||
                               scan.more_holders > 0 || !scan.unseen.empty() ||
                               scan.more_unseen > 0 || scan.leases.busy > 0;
  if (scan.verdict == HolderVerdict::kClear && is_contradicted) {
    return "a scan says that the path is clear, and also who holds it or what was not seen";
  }
  return {};
}

std::string encode_scan(const ScanRequest& request) {
  v1::ScanRequest message;
  message.set_path(request.path);
  message.set_mount_namespace(request.mount_namespace);
  message.set_max_holders(request.max_holders);
  message.set_max_unseen(request.max_unseen);
  message.set_max_lease_files(request.max_lease_files);
  message.set_max_lease_ms(request.max_lease_ms);
  return serialize(message);
}

std::string decode_scan(std::string_view body, ScanRequest& out) {
  std::unique_ptr<v1::ScanRequest> message;
  return with_scratch(message, [&]() -> std::string {
    if (auto problem = parse_payload(*message, body); !problem.empty()) return problem;
    const NormalizedPath path = normalize_path_prefix(message->path());
    if (!path.problem.empty()) return path.problem;
    if (path.path != message->path()) return "the path of a scan is not lexically normal";
    out.path = message->path();
    out.mount_namespace = message->mount_namespace();
    out.max_holders = message->max_holders();
    out.max_unseen = message->max_unseen();
    out.max_lease_files = message->max_lease_files();
    out.max_lease_ms = message->max_lease_ms();
    return {};
  });
}

std::string encode_scan(const HolderScan& scan) {
  v1::HolderScan message;
  to_proto(scan, message);
  return serialize(message);
}

std::string decode_scan(std::string_view body, HolderScan& out) {
  std::unique_ptr<v1::HolderScan> message;
  return with_scratch(message, [&]() -> std::string {
    if (auto problem = parse_payload(*message, body); !problem.empty()) return problem;
    return from_proto(*message, out);
  });
}

}  // namespace muster::wire
