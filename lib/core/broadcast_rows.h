// A broadcast as the rows of its report.
#pragma once

#include "core/broadcast.h"
#include "model/report_rows.h"

namespace muster::core {

class BroadcastRows final : public ReportSource {
 public:
  // `broadcast` and `hold` outlive it; `now` is the end of one that still runs. `hold`: of a hold
  // of this broadcast that goes on; null: there is none.
  BroadcastRows(const Broadcast& broadcast, SteadyTime now, const HoldState* hold = nullptr)
      : broadcast_(&broadcast), now_(now), hold_(hold) {}

  [[nodiscard]] ReportHead head() const override;
  void for_each_backend(const std::function<void(const OutcomeView&)>& visit) const override;
  void for_each_late(const std::function<void(const LateView&)>& visit) const override;

  [[nodiscard]] BackendOutcome outcome(std::uint32_t target) const;

 private:
  void visit_target(const Target& target, auto&& visit) const;

  const Broadcast* broadcast_;
  SteadyTime now_;
  const HoldState* hold_;
};

}  // namespace muster::core
