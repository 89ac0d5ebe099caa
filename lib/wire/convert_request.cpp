// Selections and requests for a broadcast.
#include "wire/convert.h"
#include "wire/text.h"

namespace muster::wire {
namespace {

// Each is tried against each backend.
constexpr int kMaxSelectors = 256;

}  // namespace

void to_proto(const Selection& selection, Selectors& out) {
  for (const auto& selector : selection) {
    auto& added = *out.Add();
    for (const auto& term : selector.terms()) {
      auto& added_term = *added.add_terms();
      added_term.set_field(to_utf8(term.field));
      added_term.set_glob(to_utf8(term.glob));
    }
  }
}

std::string from_proto(const Selectors& in, Selection& selection) {
  if (in.size() > kMaxSelectors) {
    return "the selection has " + std::to_string(in.size()) + " selectors; the most is " +
           std::to_string(kMaxSelectors);
  }
  for (const auto& selector : in) {
    std::vector<SelectorTerm> terms;
    for (const auto& term : selector.terms()) terms.push_back({term.field(), term.glob()});
    auto parsed = Selector::from_terms(std::move(terms));
    if (!parsed.problem.empty()) return std::move(parsed.problem);
    selection.push_back(std::move(parsed.selector));
  }
  return {};
}

void to_proto(const BroadcastRequest& request, v1::StartBroadcast& out) {
  operation_to_proto(request.operation, out);
  if (request.ack_timeout) out.set_ack_timeout_ms(to_ms(*request.ack_timeout));
  if (request.deadline) out.set_deadline_ms(to_ms(*request.deadline));
  to_proto(request.selection, *out.mutable_selection());
  out.set_operation_key(to_utf8(request.operation_key));
}

std::string from_proto(const v1::StartBroadcast& in, BroadcastRequest& request) {
  std::optional<BroadcastOperation> operation;
  if (auto problem = operation_from_proto(in, operation); !problem.empty()) return problem;
  request.operation = std::move(*operation);
  if (in.has_ack_timeout_ms()) {
    request.ack_timeout = std::chrono::milliseconds(in.ack_timeout_ms());
  }
  if (in.has_deadline_ms()) request.deadline = std::chrono::milliseconds(in.deadline_ms());
  request.operation_key = in.operation_key();
  return from_proto(in.selection(), request.selection);
}

}  // namespace muster::wire
