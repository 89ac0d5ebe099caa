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

std::size_t bytes_of(const Broadcast& broadcast) noexcept {
  std::size_t bytes = kReportBytes + bytes_of(broadcast.request) + broadcast.enrolment_bytes +
                      broadcast.targets.size() * kTargetBytes +
                      broadcast.skipped.size() * kSkippedBytes;
  if (broadcast.asked_by) bytes += text_bytes(broadcast.asked_by->command);
  for (const TargetText& text : broadcast.texts) {
    bytes += kTextBytes + text_bytes(text.detail) + text_bytes(text.note);
  }
  for (const LateRecord& late : broadcast.late) bytes += bytes_of(late);
  return bytes;
}

}  // namespace muster::core
