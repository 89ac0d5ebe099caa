#include "core/report_bytes.h"

#include <string_view>

#include "model/operation_table.h"

namespace muster::core {

std::size_t bytes_of(const Enrolment& enrolment) noexcept {
  constexpr std::size_t kMapNode = 32;
  const Registration& registration = enrolment.registration;
  const BackendKey& key = registration.key;
  std::size_t bytes = sizeof(Enrolment) + kBlockBytes + text_bytes(key.instance.name()) +
                      text_bytes(key.service_name) + text_bytes(key.service_version) +
                      text_bytes(key.replica) + text_bytes(registration.sdk_name) +
                      text_bytes(registration.sdk_version);
  for (const auto& [name, value] : registration.labels) {
    bytes +=
        kMapNode + kBlockBytes + sizeof(Labels::value_type) + text_bytes(name) + text_bytes(value);
  }
  if (const auto& facts = enrolment.peer.facts) {
    bytes += kBlockBytes + sizeof(ProcessFacts) + text_bytes(facts->exe) +
             text_bytes(facts->exe_problem);
  }
  constexpr std::size_t kUnit = Entry::kEnrolmentUnit;
  return (bytes + kUnit - 1) / kUnit * kUnit;
}

std::size_t bytes_of(const BroadcastRequest& request) noexcept {
  std::size_t bytes = text_bytes(request.operation_key) + text_bytes(request.traceparent) +
                      text_bytes(request.tracestate);
  for (const std::string_view text : texts_of(request.operation)) bytes += text_bytes(text);
  // Vectors that were filled one by one.
  if (!request.selection.empty()) bytes += kBlockBytes;
  for (const Selector& selector : request.selection) {
    bytes += 2 * sizeof(Selector) + kBlockBytes;
    for (const SelectorTerm& term : selector.terms()) {
      bytes += 2 * sizeof(SelectorTerm) + text_bytes(term.field) + text_bytes(term.glob);
    }
  }
  return bytes;
}

std::size_t bytes_of(const LateRecord& late) noexcept {
  return kLateBytes + text_bytes(late.detail);
}

namespace {

std::size_t texts_of_holder(const Holder& holder) noexcept {
  std::size_t bytes = text_bytes(holder.command) + text_bytes(holder.unit) +
                      text_bytes(holder.object) + text_bytes(holder.example) + kBlockBytes +
                      2 * holder.held.size() * sizeof(Held);
  if (holder.backend) {
    bytes += text_bytes(holder.backend->instance.name()) +
             text_bytes(holder.backend->service_name) +
             text_bytes(holder.backend->service_version) + text_bytes(holder.backend->replica);
  }
  return bytes;
}

}  // namespace

std::size_t bytes_of(const Verification& verification) noexcept {
  const HolderScan& scan = verification.scan;
  // Vectors that were filled one by one, here and below.
  std::size_t bytes = kBlockBytes + sizeof(Proof) + text_bytes(scan.prefix) +
                      text_bytes(scan.problem) + text_bytes(scan.leases.busy_example) +
                      text_bytes(scan.leases.refused_why) + text_bytes(scan.leases.incomplete_why) +
                      2 * kBlockBytes + 2 * scan.holders.size() * sizeof(Holder) +
                      2 * scan.unseen.size() * sizeof(Unseen);
  for (const Holder& holder : scan.holders) bytes += texts_of_holder(holder);
  for (const Unseen& unseen : scan.unseen) {
    bytes += text_bytes(unseen.command) + text_bytes(unseen.what);
  }
  return bytes;
}

std::size_t bytes_of(const HoldState& hold) noexcept {
  std::size_t bytes =
      2 * kBlockBytes + sizeof(HoldState) + 2 * hold.violations.size() * sizeof(HoldViolation);
  for (const HoldViolation& violation : hold.violations) bytes += texts_of_holder(violation.holder);
  return bytes;
}

std::size_t bytes_of(const Broadcast& broadcast) noexcept {
  std::size_t bytes = kReportBytes + bytes_of(broadcast.request) + broadcast.enrolment_bytes +
                      broadcast.targets.size() * kTargetBytes +
                      broadcast.skipped.size() * kSkippedBytes;
  if (broadcast.asked_by) bytes += text_bytes(broadcast.asked_by->command);
  for (const TargetText& text : broadcast.texts) {
    bytes += kTextBytes + text_bytes(text.detail) + text_bytes(text.note);
  }
  for (const LateRecord& late : broadcast.late) bytes += bytes_of(late);
  if (broadcast.proof) bytes += bytes_of(broadcast.proof->verification);
  if (broadcast.hold) bytes += bytes_of(*broadcast.hold);
  return bytes;
}

}  // namespace muster::core
